"""The state of a job, read from its folder, whole or damaged."""

import pytest

from gan.sweeps.job_records import as_swept, read_job, read_jobs, settings


def test_statuses(job, tmp_path):
    job("2", ["seed=2"], 3.0)
    job("10", ["seed=10"], None)
    job("3", ["seed=3"], 4.0, ended=False)
    (job("4", ["seed=4"], 1.0) / "summary.json").write_text('{"minu')
    (tmp_path / "s" / "5").mkdir()
    for name, content in (("6", b""), ("7", b"\xff\xfe"), ("8", b"3"), ("9", b"\0\0")):
        (job(name, []) / ".hydra" / "overrides.yaml").write_bytes(content)
    found = {name.name: name.status for name in read_jobs(tmp_path / "s")}
    assert list(found.items()) == [("2", "finished"), ("3", "unfinished"), ("4", "unfinished"), ("10", "failed")]
    assert read_job(tmp_path / "s" / "10").reason == "val/fid_mnist is not a number"


DAMAGES = [
    *((".hydra/overrides.yaml", "a: [b"), (".hydra/overrides.yaml", "- {a: 1}")),
    *(("summary.json", "[1]"), ("checkpoints/best.json", '{"metrics": null}')),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "content"), DAMAGES)
def test_a_damaged_job_hides_no_other(gan, finished, name, content):
    (finished / "0" / name).write_text(content)
    code, out, _ = gan("sweeps", "sweep_name=s")
    assert code == 0
    assert "| 1   | finished |" in out


def test_jobs_differ_in_a_group_and_in_its_values_in_braces():
    values = "model={latent_dim: 32}"
    assert settings(["model=dcgan", values]) == {"model": "dcgan", "model.{}": "{latent_dim: 32}"}
    assert settings([values, "seed=1", "ckpt_path='auto'", "sweep_name=s"]) == {
        "model": "{latent_dim: 32}",
        "seed": "1",
    }


@pytest.mark.parametrize(
    ("typed", "swept"),
    [
        *(("lr=1e-3", "lr=0.001"), ("+a.b=true", "+a.b=True"), ("c=[1, 2]", "c=[1,2]"), ("m={a: null}", "m={a:null}")),
        *(("a=x y", r"a=x\ y"), ("a=${b}", r"a=$\{b\}")),
        *((text, text) for text in ("~a", "a=x", "a='1e-3'", "a='x y'", "a=null", "a=[", "a=1,2")),
    ],
)
def test_one_value_is_written_as_each_of_several(typed, swept):
    assert as_swept(typed) == swept
