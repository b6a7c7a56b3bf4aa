"""Rubbish in the environment is one line, whichever library would read it."""

import os

import pytest

from gan.config.environment import NUMBERS, check_environment, is_first_of_machine, is_later_rank
from gan.errors import UserError


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in (*NUMBERS, "SLURM_JOB_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        *((name, "abc", "a whole number") for name in NUMBERS),
        ("RANK", "-1", "a whole number"),
        ("SLURM_PROCID", "1.5", "a whole number"),
        ("WORLD_SIZE", "0", "a whole number, 1 or more"),
        ("MASTER_PORT", "70000", "65,535 or less"),
        *(("OMP_NUM_THREADS", value, "the number of threads") for value in ("abc", "0", "-2", "4,", "4,x", "100000")),
    ],
)
def test_a_variable_that_cannot_be_meant_is_one_line(gan, monkeypatch, tmp_path, name, value, allowed):
    monkeypatch.setenv(name, value)
    code, out, errors = gan("train", "data=digits")
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert errors.startswith(f"gan train: environment variable {name}={value}: ")
    assert allowed in errors
    assert not list(tmp_path.iterdir())


def test_empty_variables_of_wandb_count_as_not_set(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "")
    check_environment("train")
    assert "WANDB_MODE" not in os.environ


def test_numbers_empty_variables_and_those_that_a_command_never_reads_pass(monkeypatch):
    for value in ("1", " 8 ", "4,2"):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        check_environment("train")
    monkeypatch.setenv("RANK", "")
    monkeypatch.setenv("MASTER_PORT", "29500")
    check_environment("train")
    assert "RANK" not in os.environ
    monkeypatch.setenv("RANK", "gold")
    check_environment("serve")
    with pytest.raises(UserError, match="RANK=gold"):
        check_environment("evaluate")


STEP = {"SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2"}


@pytest.mark.parametrize(
    ("environment", "later", "first_of_machine"),
    [
        (STEP | {"SLURM_PROCID": "1"}, True, False),
        (STEP | {"SLURM_PROCID": "1", "SLURM_LOCALID": "0"}, True, True),
        (STEP | {"SLURM_PROCID": "0"}, False, True),
        ({"SLURM_NTASKS": "2", "SLURM_PROCID": "1"}, False, True),  # a variable that stayed behind, and no step of srun
        (STEP | {"SLURM_PROCID": "1", "SLURM_JOB_NAME": "bash"}, False, True),
        ({"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "0"}, True, True),
        ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}, False, True),
        ({"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "3"}, False, True),
        ({"NODE_RANK": "0", "LOCAL_RANK": "1"}, True, False),
        ({"RANK": "3"}, False, True),
    ],
)
def test_the_place_of_a_process_among_those_of_one_run(monkeypatch, environment, later, first_of_machine):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (is_later_rank(), is_first_of_machine()) == (later, first_of_machine)
