"""The figure of a sweep."""

from gan.sweeps.job_records import read_jobs
from gan.sweeps.sweep_table import varying, write_report


def test_a_figure_takes_numbers_names_and_failures(job, tmp_path):
    from gan.sweeps.figure import plot

    for index, (lr, model) in enumerate([(1e-4, "a"), (1e-3, "b"), (1e-2, "a"), (2e-2, "b")]):
        job(str(index), [f"lr={lr}", f"model={model}", f"batch={32 + index}"], None if index == 3 else 5.0 - index)
    jobs = read_jobs(tmp_path / "s")
    trials, lr, model, batch = [axes for axes in plot(jobs, varying(jobs)).axes if axes.axison]
    assert [axes.get_xscale() for axes in (trials, lr, model, batch)] == ["linear", "log", "linear", "linear"]
    assert [text.get_text() for text in model.get_xticklabels()] == ["a", "b"]
    points, best, failed = (line.get_ydata().tolist() for line in trials.get_lines())
    assert (points, best, len(failed)) == ([5, 4, 3], [5, 4, 3], 1)


def test_the_text_of_an_interpolation_is_no_formula(job, tmp_path):
    for index, text in enumerate(["${model.latent_dim}_${seed}", "x"]):
        job(str(index), [f"note={text}"], 5.0 - index)
    write_report(tmp_path / "s", running=False)
    assert (tmp_path / "s" / "sweep.png").is_file()
