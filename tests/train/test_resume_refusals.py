"""What a run does not start from, and where it does not start."""

import pytest
import torch

from gan.errors import UserError

pytestmark = pytest.mark.slow


def test_an_existing_run_is_never_overwritten(run, begun):
    with pytest.raises(UserError, match="ckpt_path=auto resumes it"):
        run()


def test_other_networks_are_refused(run, begun, tmp_path):
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    with pytest.raises(UserError, match=r"model\.latent_dim=9: .*was trained with 8"):
        run(f"ckpt_path='{path}'", "model.latent_dim=9", folder="b")
    line = r"^model\.generator_optimizer\.lr=0\.1: .*was trained with 0\.\d+; init_from=\S+ takes its weights alone$"
    with pytest.raises(UserError, match=line):
        run(f"ckpt_path='{path}'", "model.generator_optimizer.lr=0.1", folder="b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file"),
        (b"", "not a readable checkpoint"),
        (b"not a checkpoint", "refused|not a readable checkpoint"),
        ("truncated", "not a readable checkpoint"),
        ("foreign", "not a checkpoint of this project"),
        ("hostile", "refused"),
    ],
)
def test_bad_checkpoints_are_one_line(run, trained, tmp_path, content, message):
    path = tmp_path / "bad.ckpt"
    if content == "truncated":
        path.write_bytes((trained("unconditional") / "checkpoints" / "last.ckpt").read_bytes()[:5000])
    elif content == "foreign":
        torch.save({"weights": torch.zeros(1)}, path)
    elif content == "hostile":
        torch.save({"state_dict": print}, path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as raised:
        run(f"ckpt_path='{path}'", folder="b")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("key", ["ckpt_path", "init_from"])
@pytest.mark.parametrize("at", ["network", "progress"])
def test_weights_that_do_not_fit_and_a_missing_progress_are_one_line(run, begun, tmp_path, key, at):
    path = tmp_path / "a.ckpt"
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    if at == "network":  # as if the code had changed, and the arguments had not
        checkpoint["state_dict"]["generator.body.0.weight"] = torch.zeros(3, 3)
    else:
        del checkpoint["loops"]
    torch.save(checkpoint, path)
    if (key, at) == ("init_from", "progress"):
        assert run(f"{key}='{path}'", folder="b")
        return
    with pytest.raises(UserError, match=r"do not fit the networks|it has no progress of a run; init_from=") as raised:
        run(f"{key}='{path}'", folder="b")
    assert str(raised.value).startswith(f"{key}={path}: ")
    assert "\n" not in str(raised.value)


def test_another_runs_folder_is_refused(run, begun, trained):
    with pytest.raises(UserError, match="another run is there"):
        run(f"ckpt_path='{trained('unconditional')}/checkpoints/last.ckpt'", "trainer.max_epochs=2")
