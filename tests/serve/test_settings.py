"""Settings from the command line and from the environment."""

import os

import pytest
from omegaconf import OmegaConf

from gan.config import CONFIG_DIR, compose
from gan.errors import UserError
from gan.serve import settings as settings_module
from gan.serve.command import pass_over_service_links
from gan.serve.models import Models
from gan.serve.settings import Settings, read_settings


def read(*overrides):
    return read_settings(compose("serve", overrides))


def test_each_key_is_an_environment_variable_that_the_command_line_overrides(monkeypatch):
    raw = OmegaConf.to_container(OmegaConf.load(CONFIG_DIR / "serve.yaml"))
    keys = raw.keys() - {"defaults", "hydra"}
    assert keys == Settings.model_fields.keys()
    assert all(raw[key].startswith(f"${{oc.env:GAN_SERVE_{key.upper()},") for key in keys)
    monkeypatch.setenv("GAN_SERVE_PORT", "9001")
    monkeypatch.setenv("GAN_SERVE_CORS_ORIGINS", "https://a.example,https://b.example")
    monkeypatch.setenv("GAN_SERVE_API_KEYS", "")
    monkeypatch.setenv("GAN_SERVE_MODELS", '{"a": {"ckpt": "a.ckpt"}, "b": {"ckpt": "b.onnx", "weight": 0.1}}')
    settings = read("workers=3")
    assert (settings.port, settings.workers, settings.api_keys) == (9001, 3, [])
    assert settings.cors_origins == ["https://a.example", "https://b.example"]
    assert {name: model.weight for name, model in settings.models.items()} == {"a": 0.9, "b": 0.1}
    assert read("port=9002").port == 9002
    for origins in ("*", "http://localhost:3000,http://[::1]:8080,https://a-b.example,moz-extension://0f"):
        assert read(f"cors_origins='{origins}'").cors_origins == origins.split(",")
    for proxies in ("*", "127.0.0.1, ::1, 10.0.0.0/8"):
        assert read(f"trusted_proxies='{proxies}'").trusted_proxies == proxies
    for storage in ("memory", "redis://:a@b@host", "rediss://[FE80::1]:6379/0?ssl_cert_reqs=none"):
        assert read(f"rate_limit_storage='{storage}'").rate_limit_storage == storage
    for path, meant in (("/gan/", "/gan/"), ("/a/b.c", "/a/b.c"), ("/", "/"), ("''", None)):
        assert read(f"root_path={path}").root_path == meant
    assert read("trust=gan").trust == ["gan"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["port=70000"], "port=70000: "),
        (["workers=0"], "workers=0: "),
        (["workers=true"], "workers=True: must be a number, not a switch"),
        (["keep_jobs_hours=true"], "keep_jobs_hours=True: must be a number, not a switch"),
        (["workers=many"], "workers=many: must be a whole number, or auto for what cores and memory allow"),
        (["cache_bytes=-1"], "cache_bytes=-1: "),
        (["ui=maybe"], "ui=maybe: "),
        (["rate_limit=often"], "rate_limit=often: must be one request or more per period, such as 60/minute"),
        (["rate_limit=0/minute"], "rate_limit=0/minute: must be one request or more per period"),
        (["rate_limit_storage=redis"], "rate_limit_storage: must be memory or a Redis server"),
        (["rate_limit_storage='redis://a:b/0'"], "rate_limit_storage: must be memory or a Redis server"),
        (["rate_limit_storage='redis://a/first'"], "rate_limit_storage: must be memory or a Redis server"),
        (["rate_limit_storage='memcached://a'"], "such as redis://host:6379/0"),
        (["trusted_proxies=10.0.0.1/8"], "trusted_proxies=10.0.0.1/8: must be addresses or networks"),
        (["trusted_proxies='*,10.0.0.1'"], "trusted_proxies=*,10.0.0.1: must be addresses or networks"),
        (["root_path=gan"], "root_path=gan: must be a path such as /gan"),
        (["root_path=//other.example"], "root_path=//other.example: must be a path such as /gan"),
        (["root_path=/a/../b"], "root_path=/a/../b: must be a path such as /gan"),
        (["request_timeout=inf"], "request_timeout=inf: "),
        (["api_keys=','"], "api_keys: the list is empty"),
        (["api_keys=[12e34]"], "api_keys.0: must be a text; write it in quotes"),
        (["api_keys=1_000"], "api_keys: must be a text; write it in quotes"),
        (["models={a: {ckpt: b, version: 1.10}}"], "models.a.version=1.1: must be a text; write it in quotes"),
        (["jobs_dir=2e3"], "jobs_dir=2000.0: must be a text; write it in quotes"),
        (["keep_jobs_hours=1e9"], "keep_jobs_hours=1000000000.0: Input should be less than or equal to 878400"),
        (["cors_origins='*,https://a.example/'"], "cors_origins.1=https://a.example/: must be as browsers send it"),
        (["cors_origins=https://a.example/b"], "cors_origins.0=https://a.example/b: must be as browsers send it"),
        (["cors_origins=https://A.example"], "cors_origins.0=https://A.example: must be as browsers send it"),
        (["cors_origins='https://a.example:443'"], "cors_origins.0=https://a.example:443: must be as browsers send it"),
        (["cors_origins=a.example"], "cors_origins.0=a.example: must be as browsers send it"),
        (["queue_size=10"], "queue_size=10: must be at least max_images=1024"),
        (["drain_seconds=40"], "drain_seconds=40.0: must be less than shutdown_timeout=30"),
        (["ckpt=a", "models={a: {ckpt: b}}"], "names the files already, so leave out ckpt=a"),
        (["ckpt=a", "models={default: {}}"], "names the files already, so leave out ckpt=a"),
        (["models={a: {ckpt: b}}", "default=c"], "default=c: must be one of a"),
        (["models={a/b: {ckpt: b}}"], "models.a/b"),
        (["models={a: {cktp: b}}"], "models.a.cktp=b: "),
        (["models=3"], "models=3: "),
        (["models={}"], "models={}: Dictionary should have at least 1 item"),
        (["api_keys='clé'"], "api_keys.0: must be in ASCII"),
        (["trust=nosuchpackage"], "trust.0=nosuchpackage: must be a package that can be imported here"),
        (["trust=no_such.module"], "trust.0=no_such.module: must be a package that can be imported here"),
        (["api_keys_file=nowhere"], "api_keys_file=nowhere: cannot be read (No such file or directory)"),
    ],
)
def test_an_error_is_one_line_that_names_the_key(read_overrides, overrides, words):
    with pytest.raises(UserError) as caught:
        read_overrides(*overrides)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("written", ['"open"', "'open'", '["open"]', '["open","sesame"]'])
def test_a_key_is_bare(monkeypatch, written):
    monkeypatch.setenv("GAN_SERVE_API_KEYS", written)
    with pytest.raises(UserError, match=r"^api_keys\.0: must be the bare key, without quotes, brackets or a comment$"):
        read()


@pytest.mark.parametrize(
    ("line", "allowed"), [("# of tests", False), ('"open"', False), ("#open", True), ('o"n', True)]
)
def test_a_file_has_bare_keys(read_overrides, tmp_path, line, allowed):
    (file := tmp_path / "keys").write_text(f"sesame\n{line}\n")
    if allowed:
        assert read_overrides(f"api_keys_file={file}").api_keys == ["sesame", line]
        return
    with pytest.raises(UserError, match=r"^api_keys_file=.*: each line must be the bare key, without quotes"):
        read_overrides(f"api_keys_file={file}")


@pytest.mark.parametrize("key", ["workers", "port", "trusted_proxies"])
def test_an_empty_variable_of_a_setting_that_needs_a_value_is_named(monkeypatch, key):
    monkeypatch.setenv(f"GAN_SERVE_{key.upper()}", "")
    with pytest.raises(UserError, match=f"^GAN_SERVE_{key.upper()} is empty; unset it, or give it a value$"):
        read()


def test_a_file_with_a_key_that_is_not_ascii_is_named(read_overrides, tmp_path):
    path = tmp_path / "keys"
    path.write_text("key\nclé\n", encoding="utf-8")
    with pytest.raises(UserError, match=f"^api_keys_file={path}: must be in ASCII"):
        read_overrides(f"api_keys_file='{path}'")


def test_a_quoted_text_that_looks_like_a_number_is_kept():
    settings = read("api_keys=['12e34', '1_000']", "models={1: {ckpt: b, version: '1.10'}}")
    assert settings.api_keys == ["12e34", "1_000"]
    assert settings.models["1"].version == "1.10"


@pytest.mark.parametrize("override", ["api_keys={secret-key: 1}", "rate_limit_storage='redis:/:secret-key@host'"])
def test_an_error_does_not_reveal_a_secret(read_overrides, override):
    with pytest.raises(UserError) as caught:
        read_overrides(override)
    assert "secret-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("cores", "threads", "gib", "workers"), [(4, 1, 16, 4), (4, 2, 16, 2), (4, 1, 2, 2), (2, 4, 16, 1), (4, 1, 0.25, 1)]
)
def test_workers_fit_the_cores_and_the_memory(read_overrides, monkeypatch, cores, threads, gib, workers):
    monkeypatch.setattr(settings_module, "cpu_count", lambda: cores)
    monkeypatch.setattr(settings_module, "memory_left", lambda: int(gib * 2**30))
    assert read_overrides("workers=auto", f"threads={threads}").workers == workers


def test_variables_of_a_kubernetes_service_are_passed_over(monkeypatch, capsys):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    links = {
        "GAN_SERVE_PORT": "tcp://10.96.12.7:8000",
        "GAN_SERVE_PORT_8000_TCP": "tcp://10.96.12.7:8000",
        "GAN_SERVE_PORT_8000_TCP_ADDR": "10.96.12.7",
        "GAN_SERVE_SERVICE_HOST": "10.96.12.7",
        "GAN_SERVE_SERVICE_PORT_HTTP": "8000",
    }
    os.environ.update(links, GAN_SERVE_WORKERS="tcp", GAN_SERVE_CKPT="a.ckpt")
    pass_over_service_links()
    assert {name for name in os.environ if name.startswith("GAN_SERVE_")} == {"GAN_SERVE_WORKERS", "GAN_SERVE_CKPT"}
    assert capsys.readouterr().err.startswith(f"gan serve: passing over {', '.join(sorted(links))}: set by Kubernetes")
    pass_over_service_links()
    assert capsys.readouterr().err == ""


def test_a_models_file_may_be_in_the_quoted_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert read("models={a: {ckpt: '~/a.ckpt'}}").models["a"].ckpt == "/home/me/a.ckpt"
    monkeypatch.setenv("GAN_SERVE_MODELS", '{"a": {"ckpt": "~/b.ckpt"}, "b": {"ckpt": "last"}}')
    assert [model.ckpt for model in read().models.values()] == ["/home/me/b.ckpt", "last"]
    with pytest.raises(UserError, match=r"models\.a\.ckpt=~no such user/a: there is no file"):
        Models(read("models={a: {ckpt: '~no such user/a'}}"))


def test_folders_and_files_may_be_in_the_quoted_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "keys").write_text("secret\n")
    settings = read("jobs_dir='~/jobs'", "api_keys_file='~/keys'")
    assert (settings.jobs_dir, settings.api_keys) == (tmp_path / "jobs", ["secret"])
