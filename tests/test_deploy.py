"""The files in deploy/ agree with the service."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from packaging.requirements import Requirement
from prometheus_client import Counter, Gauge, Histogram

from gan.config import compose
from gan.serve import prometheus
from gan.serve.app import create_app
from gan.serve.settings import read_settings

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
TEXTS = {path.name: path.read_text() for path in DEPLOY.iterdir() if path.is_file()}
VOLUMES = yaml.safe_load(TEXTS["compose.yaml"])["volumes"]
COMPOSE = yaml.safe_load(TEXTS["compose.yaml"])["services"]
RUN_AS_OWNER = COMPOSE["api"]["entrypoint"][2]
KUBERNETES = {each["kind"]: each for each in yaml.safe_load_all(TEXTS["kubernetes.yaml"])}
POD = KUBERNETES["Deployment"]["spec"]["template"]
CONTAINER = POD["spec"]["containers"][0]


IMAGE = dict(  # the environment of the service's image
    variable.split("=", 1)
    for line in re.sub(r"\\\n", "", TEXTS["Dockerfile"].partition("AS api\n")[2]).splitlines()
    if line.startswith("ENV ")
    for variable in shlex.split(line)[1:]
)


def settings_of(**environment):
    """The settings that `gan serve` has with these variables."""
    with pytest.MonkeyPatch.context() as patch:
        for key in compose("serve"):
            patch.delenv(f"GAN_SERVE_{key.upper()}", raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        return read_settings(compose("serve"))


@pytest.fixture(scope="module")
def settings():
    return settings_of()


def in_bytes(size):
    number, unit = re.fullmatch(r"(\d+)(\w+)", size).groups()
    return int(number) * {"m": 2**20, "g": 2**30, "Mi": 2**20, "Gi": 2**30}[unit]


@pytest.mark.parametrize("name", TEXTS)
def test_every_setting_in_the_files_exists(name):
    read = set(re.findall(r"oc\.env:(\w+)", (ROOT / "conf/serve.yaml").read_text()))
    assert set(re.findall(r"\bGAN_SERVE_[A-Z_]+", TEXTS[name])) <= read


def test_ports_agree(settings):
    assert f"EXPOSE {settings.port}" in TEXTS["Dockerfile"]
    assert COMPOSE["api"]["ports"] == [f"{settings.port}:{settings.port}"]
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": settings.port}]
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == str(settings.port)
    assert KUBERNETES["Service"]["spec"]["ports"][0]["targetPort"] == "http"
    assert f"server 127.0.0.1:{settings.port};" in TEXTS["nginx.conf"]
    assert f"127.0.0.1:{settings.port}" in TEXTS["prometheus.yml"]
    for text in (TEXTS["Dockerfile"], json.dumps(COMPOSE["tensorboard"])):
        assert set(re.findall(r"127\.0\.0\.1:(?!8000)(\d+)", text)) == {"6006"}


def test_paths_exist(settings):
    routes = set(create_app(settings).openapi()["paths"])
    probes = [CONTAINER[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")]
    assert probes == ["/readyz", "/livez", "/readyz"]
    checks = re.findall(r":(?:8000|\S*GAN_SERVE_PORT', 8000\)\})(/\w+)", TEXTS["Dockerfile"] + TEXTS["compose.yaml"])
    assert checks == ["/readyz", "/readyz"]
    scraped = yaml.safe_load(TEXTS["prometheus.yml"])["scrape_configs"][0]["metrics_path"]
    assert POD["metadata"]["annotations"]["prometheus.io/path"] == scraped
    for prefix in ("", *re.findall(r"set \$forwarded_prefix (/\S*);", TEXTS["nginx.conf"])):
        assert f"location = {prefix}{scraped} {{" in TEXTS["nginx.conf"]
    assert {*probes, *checks, scraped} <= routes


def test_alerts_use_metrics_that_exist():
    endings = {Counter: ("_total",), Gauge: ("",), Histogram: ("_bucket", "_sum", "_count")}
    known = {
        each._name + ending: {*each._labelnames, "le", "instance", "job"}
        for each in vars(prometheus).values()
        if isinstance(each, tuple(endings))
        for ending in endings[type(each)]
    }
    rules = [rule for group in yaml.safe_load(TEXTS["alerts.yml"])["groups"] for rule in group["rules"]]
    named = [pair for rule in rules for pair in re.findall(r"\b(gan_\w+)(?:\{([^}]*)\})?", rule["expr"])]
    assert len(named) >= 5
    for metric, selector in named:
        assert set(re.findall(r"(\w+)(?:=|!)", selector)) <= known[metric]


def test_outer_limits_are_above_those_of_the_service(settings):
    def seconds(text):
        return int(re.fullmatch(r"(\d+)s?", str(text))[1])

    assert seconds(COMPOSE["api"]["stop_grace_period"]) > settings.shutdown_timeout
    assert POD["spec"]["terminationGracePeriodSeconds"] > settings.shutdown_timeout
    assert seconds(re.search(r"proxy_read_timeout (\S+);", TEXTS["nginx.conf"])[1]) > settings.request_timeout
    assert seconds(re.search(r"client_max_body_size (\S+);", TEXTS["nginx.conf"])[1]) == settings.max_body_bytes
    queue = re.search(r"gan_queue_images > (\d+)", TEXTS["alerts.yml"])[1]
    assert int(queue) < settings.queue_size


def test_containers_run_unprivileged_on_a_read_only_file_system():
    stages = re.split(r"^FROM ", TEXTS["Dockerfile"], flags=re.MULTILINE)
    for stage in (each for each in stages if "ENTRYPOINT" in each):
        assert f"USER {POD['spec']['securityContext']['runAsUser']}:" in stage
        assert "HEALTHCHECK" in stage
    for service in COMPOSE.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert in_bytes(service["mem_limit"]) <= 4 * 2**30
    for service in (COMPOSE["api"], COMPOSE["tensorboard"]):
        assert service["cap_add"] == ["SETUID", "SETGID"]
        assert service["entrypoint"][:3] == ["sh", "-euc", RUN_AS_OWNER]
        mounted = [volume for volume in service["volumes"] if volume["type"] == "bind"]
        assert all(volume["read_only"] for volume in mounted)
        assert not any(volume["bind"]["create_host_path"] for volume in mounted)  # it would be root's
        assert service["build"]["target"] in re.findall(r" AS (\w+)$", TEXTS["Dockerfile"], flags=re.MULTILINE)
    assert not COMPOSE["redis"]["user"].startswith(("0", "root"))
    assert POD["spec"]["securityContext"]["runAsNonRoot"]
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"]


def test_compose_hands_on_every_setting_but_the_address(settings):
    address = {"GAN_SERVE_HOST", "GAN_SERVE_PORT"}
    assert {*COMPOSE["api"]["environment"], *address} == {
        f"GAN_SERVE_{key.upper()}" for key in type(settings).model_fields
    }
    served = settings_of(**IMAGE)
    assert (served.host, served.port) == ("0.0.0.0", settings.port)


def test_jobs_of_compose_are_in_a_volume_that_outlives_the_container():
    assert f"\nVOLUME {IMAGE['GAN_SERVE_JOBS_DIR']}\n" in TEXTS["Dockerfile"]  # it must be writable, or nothing starts
    writable = [volume for volume in COMPOSE["api"]["volumes"] if not volume.get("read_only")]
    assert [volume["target"] for volume in writable] == [str(settings_of(**IMAGE).jobs_dir)]
    assert {volume["source"] for volume in writable} == VOLUMES.keys()


def test_jobs_of_a_pod_are_off_until_their_volume_is_shared():
    pod = {each["name"]: each["value"] for each in CONTAINER["env"] if "value" in each}
    assert settings_of(**IMAGE | pod).jobs_dir is None
    on = settings_of(**IMAGE | pod | {"GAN_SERVE_JOBS_DIR": IMAGE["GAN_SERVE_JOBS_DIR"]})
    (mount,) = [each for each in CONTAINER["volumeMounts"] if each["mountPath"] == str(on.jobs_dir)]
    (volume,) = [each for each in POD["spec"]["volumes"] if each["name"] == mount["name"]]
    assert in_bytes(volume["emptyDir"]["sizeLimit"]) > on.max_jobs_gb * 1e9
    assert POD["spec"]["securityContext"]["fsGroup"] == POD["spec"]["securityContext"]["runAsGroup"]


def test_a_rate_limit_can_be_counted_in_redis(monkeypatch, capsys):
    code = re.search(r'RUN python -c "(.*)" > requirements.txt', TEXTS["Dockerfile"])[1]
    monkeypatch.chdir(ROOT)
    exec(code, {})
    installed = {Requirement(line).name for line in capsys.readouterr().out.splitlines()}
    assert installed > {"torch", "fastapi", "onnxruntime", "redis"}
    address = re.search(r"GAN_SERVE_RATE_LIMIT_STORAGE=(redis://\S+),", TEXTS["compose.yaml"])[1]
    assert settings_of(GAN_SERVE_RATE_LIMIT_STORAGE=address).rate_limit_storage == address
    assert COMPOSE[urlsplit(address).hostname]["profiles"] == ["redis"]
    secret = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in CONTAINER["env"] if "valueFrom" in each}
    assert secret.keys() == {"GAN_SERVE_API_KEYS", "GAN_SERVE_RATE_LIMIT", "GAN_SERVE_RATE_LIMIT_STORAGE"}
    for name, reference in secret.items():
        key = name.removeprefix("GAN_SERVE_").lower().replace("_", "-")
        assert reference == {"name": "mnist-gan", "key": key, "optional": True}


@pytest.mark.process
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs Redis (Debian: apt-get install redis-server)")
def test_the_redis_of_compose_starts(tmp_path):
    command = [*COMPOSE["redis"]["command"], "--port", "0", "--unixsocket", str(tmp_path / "redis")]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as redis:
        assert any("eady to accept connections" in line for line in redis.stdout)
        redis.kill()


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root, as a container has it")
@pytest.mark.parametrize(
    ("owner", "mode", "user"), [(12345, 0o700, 12345), (12345, 0o755, 12345), (0, 0o755, 10001), (0, 0o700, 0)]
)
def test_a_container_can_read_outputs_whatever_the_umask_was_and_write_jobs(tmp_path, owner, mode, user):
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    (outputs / "best.ckpt").write_bytes(b"weights")
    for path, its_mode in ((tmp_path, 0o755), (outputs / "best.ckpt", mode & 0o666), (outputs, mode)):
        path.chmod(its_mode)
    for path in (outputs, outputs / "best.ckpt"):
        os.chown(path, owner, owner)
    container = ["setpriv", "--no-new-privs", "--bounding-set=-all,+setuid,+setgid"]
    start = [*container, "sh", "-euc", RUN_AS_OWNER.replace("$$", "$"), "sh"]
    mode_of_jobs, jobs = re.search(r"install -d -m (\d+) (\S+)", TEXTS["Dockerfile"]).groups()
    (tmp_path / jobs.strip("/")).mkdir()
    (tmp_path / jobs.strip("/")).chmod(int(mode_of_jobs, 8))
    command = f"cat outputs/best.ckpt; id -u; mkdir .{jobs}/1; grep CapEff /proc/self/status"
    text = subprocess.run([*start, "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert text.startswith(f"weights{user}\n")
    assert user == 0 or text.endswith("0000000000000000\n")


def test_the_docker_context_has_the_files_of_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], project["project"]["readme"], "pyproject.toml"}
    needed |= {*project["project"]["license-files"], "constraints.txt"}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert needed == allowed


def test_torch_comes_from_the_default_index_unless_another_is_given():
    assert re.findall(r"^ARG TORCH_INDEX=(.*)$", TEXTS["Dockerfile"], flags=re.MULTILINE) == [""]
    assert COMPOSE["api"]["build"]["args"] == {"TORCH_INDEX": "${TORCH_INDEX:-}"}
    assert "://" not in re.sub(r"http://127\.0\.0\.1\S*", "", TEXTS["Dockerfile"])


def test_actions_are_pinned_by_commit():
    used = re.findall(r"uses: (.*)", (ROOT / ".github/workflows/ci.yaml").read_text(encoding="utf-8"))
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", each) for each in used), used


def test_a_pod_gets_no_variables_of_services():
    assert POD["spec"]["enableServiceLinks"] is False
