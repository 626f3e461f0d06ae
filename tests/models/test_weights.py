"""Every way to weights: the hub is a server on this machine, the cache a temporary folder."""
import hashlib
import json
import logging
import os
import pickle
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zipfile import ZipFile

import pytest
import timm
import torch
from safetensors.torch import save_file

from imgreg_fastai.api import functions
from imgreg_fastai.inference import model_file
from imgreg_fastai.models import backbones, network, timm_body, weights
from imgreg_fastai.tasks import ANGLE, Number, Point, Task
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import SMALL

ARCH, REPO, SIZE = "test_resnet", "timm/test_resnet.r160_in1k", (64, 64)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def own_hub(tmp_path, monkeypatch):
    """A cache of the test's own and a hub that refuses connections; gives a function that names another hub."""
    from huggingface_hub import close_session, constants

    def point(url):
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")

    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        point(f"http://127.0.0.1:{free.getsockname()[1]}")
    close_session()
    yield point
    close_session()


@pytest.fixture
def full():
    """The state dict of a whole test_resnet, classifier included, as the hub holds it."""
    torch.manual_seed(1)
    return {k: v.clone() for k, v in timm.create_model(ARCH).state_dict().items()}


def put_in_cache(folder, file_bytes, name="model.safetensors"):
    repo = folder / "cache" / ("models--" + REPO.replace("/", "--"))
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    (repo / "snapshots" / COMMIT).mkdir(parents=True)
    (repo / "snapshots" / COMMIT / name).write_bytes(file_bytes)


def as_bytes(state, folder):
    save_file(state, folder / "whole.safetensors")
    return (folder / "whole.safetensors").read_bytes()


def build_body(arch, size, args, found):
    """A body with the weights in it, and what came of them."""
    body = backbones.build(arch, size, args)
    return body, weights.load_body(body, arch, found)


def assert_holds(body, state):
    own = body.state_dict()
    assert own.keys() <= state.keys() and len(own) > 20
    assert all(torch.equal(value, state[key]) for key, value in own.items())


@contextmanager
def hub(files, point):
    """A server that answers as the hub does for {file name: bytes}; gives the list of what was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append((self.command, self.path))
            name = self.path.rpartition("/")[2]
            content = files.get(name) if self.path.startswith(f"/{REPO}/resolve/") else None
            self.send_response(404 if content is None else 200)
            self.send_header("X-Repo-Commit", COMMIT)
            if content is None:
                self.send_header("X-Error-Code", "EntryNotFound")
            else:
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            return content

        def do_GET(self):
            self.wfile.write(self.do_HEAD() or b"")

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    point(f"http://127.0.0.1:{server.server_port}")
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()


def warnings_of(caplog):
    return [r.message for r in caplog.records if r.name == "imgreg" and r.levelno == logging.WARNING]


# ---- hub and cache


@pytest.mark.parametrize("spec", ["auto", "hub"])
def test_the_cache_needs_no_hub(tmp_path, full, caplog, spec):
    content = as_bytes(full, tmp_path)
    put_in_cache(tmp_path, content)
    found = weights.find_weights(ARCH, spec)
    assert found.to_dict() == {
        "kind": "cache", "tag": "r160_in1k", "source": REPO, "note": "", "licence": "apache-2.0",
        "sha256": hashlib.sha256(content).hexdigest()
    }
    assert found.pretrained
    body, same = build_body(ARCH, SIZE, None, found)
    assert same == found
    assert_holds(body, full)
    assert str(tmp_path) not in json.dumps([body.pretrained_cfg, found.to_dict()])
    assert str(tmp_path) not in repr(found)
    assert not warnings_of(caplog)


def test_a_pickle_in_the_cache_serves_where_there_is_no_safetensors(tmp_path, full):
    torch.save(full, tmp_path / "p.bin")
    put_in_cache(tmp_path, (tmp_path / "p.bin").read_bytes(), "pytorch_model.bin")
    found = weights.find_weights(ARCH, "auto")
    assert found.origin == "cache"
    assert_holds(build_body(ARCH, SIZE, None, found)[0], full)


def test_a_broken_file_in_the_cache_is_said_to_be_broken(tmp_path, full, caplog):
    put_in_cache(tmp_path, as_bytes(full, tmp_path)[:1000])
    assert weights.find_weights(ARCH, "auto").origin == "none"
    assert "cache" in warnings_of(caplog)[0]
    with pytest.raises(ImgregError, match="cache"):
        weights.find_weights(ARCH, "hub")


def test_download_from_the_hub_and_then_from_the_cache(tmp_path, full, own_hub):
    with hub({"model.safetensors": as_bytes(full, tmp_path)}, own_hub) as asked:
        found = weights.find_weights(ARCH, "hub")
        assert found.origin == "hub" and found.tag == "r160_in1k" and found.source == REPO
        assert ("GET", f"/{REPO}/resolve/main/model.safetensors") in asked
        asked.clear()
        assert weights.find_weights(ARCH, "auto").origin == "cache"
        assert asked == []
    assert_holds(build_body(ARCH, SIZE, None, found)[0], full)


def test_the_hub_may_have_a_pickle_only(tmp_path, full, own_hub):
    torch.save(full, tmp_path / "p.bin")
    with hub({"pytorch_model.bin": (tmp_path / "p.bin").read_bytes()}, own_hub):
        found = weights.find_weights(ARCH, "auto")
    assert found.origin == "hub"
    assert_holds(build_body(ARCH, SIZE, None, found)[0], full)


def test_a_hub_without_the_file(own_hub, caplog):
    with hub({}, own_hub):
        with pytest.raises(ImgregError, match=r"it has no model\.safetensors"):
            weights.find_weights(ARCH, "hub")
        assert weights.find_weights(ARCH, "auto").origin == "none"
    assert len(warnings_of(caplog)) == 1


def test_a_hub_that_refuses_connections(caplog, monkeypatch):
    requests, real = [], backbones.huggingface_hub.get_hf_file_metadata
    monkeypatch.setattr(backbones.huggingface_hub, "get_hf_file_metadata",
                        lambda *args, **options: requests.append(options) or real(*args, **options))
    monkeypatch.setattr(backbones.huggingface_hub, "hf_hub_download", None)  # nothing is downloaded
    with caplog.at_level(logging.INFO, "imgreg"):
        found = weights.find_weights(ARCH, "auto")
        build_body(ARCH, SIZE, None, found)
    assert len([r for r in caplog.records if r.name == "imgreg"]) == 1
    with pytest.raises(ImgregError, match="--weights FILE, or --weights none"):
        weights.find_weights(ARCH, "hub")
    assert requests == [{"timeout": 3.0}] * 2  # asked once each, and not again under another name
    assert (found.origin, found.pretrained, found.sha256) == ("none", False, None)
    assert REPO in found.note
    (line,) = warnings_of(caplog)
    assert "from scratch" in line and "--weights none" in line and "\n" not in line


def test_ctrl_c_during_a_download_says_that_it_begins_anew(own_hub, tmp_path, full, caplog, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    save_file(full, tmp_path / "m.safetensors")
    with hub({"model.safetensors": (tmp_path / "m.safetensors").read_bytes()}, own_hub):
        with caplog.at_level(logging.INFO, "imgreg"), monkeypatch.context() as broken:
            broken.setattr("huggingface_hub.file_download.http_get", interrupt)
            with pytest.raises(KeyboardInterrupt):
                weights.find_weights(ARCH, "auto")
        assert [r.message for r in caplog.records if r.name == "imgreg"] == [
            f"the weights of {REPO} are not complete: the same command downloads them again"]
        assert weights.find_weights(ARCH, "auto").origin == "hub"


def test_a_hub_that_never_answers(own_hub, caplog):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        own_hub(f"http://127.0.0.1:{silent.getsockname()[1]}")
        found = weights.find_weights(ARCH, "auto", timeout=0.2)
        silent.accept()[0].close()  # it was asked
    assert found.origin == "none" and len(warnings_of(caplog)) == 1


def test_a_name_that_is_never_looked_up_is_given_up(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: over.wait())  # it returns only after the test
    try:
        assert "no answer within 0.2 s" in weights.find_weights(ARCH, "auto", timeout=0.2).note
    finally:
        over.set()


def test_offline_by_wish_asks_nobody(tmp_path, full, own_hub, monkeypatch):
    from huggingface_hub import constants

    with hub({"model.safetensors": as_bytes(full, tmp_path)}, own_hub) as asked:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        found = weights.find_weights(ARCH, "auto")
    assert found.origin == "none" and "not in the cache, and HF_HUB_OFFLINE=1 forbids its download" in found.note
    assert asked == []


def test_none_by_wish_are_none(caplog):
    with caplog.at_level(logging.INFO):
        found = weights.find_weights(ARCH, "none")
        body, same = build_body(ARCH, SIZE, None, found)
    assert found.origin == "none" and found.note and not caplog.records
    assert same is found and body(torch.zeros(2, 3, *SIZE)).shape == (2, timm_body.n_features(body))


@pytest.mark.parametrize(("how", "who"), [
    ({}, "the task's recipe"), ({"weights": "none"}, "the task's recipe"),
    ({"arch": ARCH, "weights": "none"}, "--weights none"),
])
def test_who_wished_for_none_is_said_in_one_line(drawn, caplog, how, who):
    with caplog.at_level(logging.INFO, "imgreg"):
        learn = functions.learner("angle", data=drawn, **{**SMALL, **how})
    said = [r.getMessage() for r in caplog.records if "from scratch" in r.getMessage()]
    assert said == [f"training {how.get('arch', 'resnet10t')} from scratch: {who}"] and learn.model is not None


@pytest.mark.parametrize(("arch", "says"), [("test_mambaout", "timm has no weights"), ("legacy_seresnet18", "http")])
def test_backbones_that_have_none_on_the_hub(arch, says, own_hub, caplog):
    with hub({}, own_hub) as asked:
        found = weights.find_weights(arch, "auto")
        with pytest.raises(ImgregError, match=says):
            weights.find_weights(arch, "hub")
    assert found.origin == "none" and says in found.note and asked == []
    assert len(warnings_of(caplog)) == 1


# ---- files, runs and bundles


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.bin", "w.pth.tar"])
def test_a_weights_file(tmp_path, full, name):
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else torch.save)(full, path)
    found = weights.find_weights(ARCH, str(path))
    assert (found.origin, found.source, found.tag) == ("file", name, None)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    body, _ = build_body(ARCH, SIZE, None, found)
    assert_holds(body, full)
    assert str(tmp_path) not in json.dumps(body.pretrained_cfg)


def test_a_checkpoint_with_the_state_dict_inside(tmp_path, full):
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in full.items()}}, tmp_path / "c.pth")
    found = weights.find_weights(ARCH, str(tmp_path / "c.pth"))
    assert_holds(build_body(ARCH, SIZE, None, found)[0], full)


def test_position_embeddings_are_resized(tmp_path):
    state = timm.create_model("test_vit").state_dict()
    save_file(state, tmp_path / "vit.safetensors")
    found = weights.find_weights("test_vit", str(tmp_path / "vit.safetensors"))
    body, found = build_body("test_vit", (96, 64), None, found)
    assert found.note == ""
    assert body.pos_embed.shape[1] == 6 * 4 + state["pos_embed"].shape[1] - 100
    assert torch.equal(body.blocks[0].attn.qkv.weight, state["blocks.0.attn.qkv.weight"])


def ours(arch=ARCH, size=SIZE, args=None):
    torch.manual_seed(2)
    return network.network(arch, size, 2, args)


def body_of(net):
    return dict(net[0].state_dict())


def test_a_run_a_model_file_and_a_bundle_of_ours(tmp_path):
    net, run = ours(), tmp_path / "angle-001"
    run.mkdir()
    save_file(net.state_dict(), run / "model.safetensors")
    save_file(net.state_dict(), tmp_path / "m.imgreg", metadata={"imgreg": "{}"})
    for path in (run, run / "model.safetensors", tmp_path / "m.imgreg"):
        found = weights.find_weights(ARCH, str(path))
        assert (found.origin, found.source) == ("model", path.name)
        assert_holds(build_body(ARCH, SIZE, None, found)[0], body_of(net))


@pytest.mark.parametrize("kind", ["model", "file"])
def test_a_headless_swin_is_not_renamed_by_timm(tmp_path, monkeypatch, kind):
    def shift(state, model):  # what older versions of timm do to a Swin without head.fc
        return {k.replace("layers.1.downsample", "layers.2.downsample"): v for k, v in state.items()}

    monkeypatch.setattr("timm.models.swin_transformer.checkpoint_filter_fn", shift)
    arch, size = "swin_tiny_patch4_window7_224", (64, 64)
    args = {"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4)}
    net = ours(arch, size, args)
    save_file((net if kind == "model" else net[0]).state_dict(), tmp_path / "s.safetensors")
    found = weights.find_weights(arch, str(tmp_path / "s.safetensors"))
    body, found = build_body(arch, size, args, found)
    assert found.origin == kind and found.note == ""
    assert_holds(body, body_of(net))


def test_a_vit_of_ours_at_another_size(tmp_path):
    net = ours("test_vit", (64, 64))
    save_file(net.state_dict(), tmp_path / "v.safetensors")
    found = weights.find_weights("test_vit", str(tmp_path / "v.safetensors"))
    body, found = build_body("test_vit", (96, 96), None, found)
    assert found.note == "" and body.pos_embed.shape[1] - net[0].pos_embed.shape[1] == 36 - 16
    assert torch.equal(body.blocks[0].attn.qkv.weight, net[0].blocks[0].attn.qkv.weight)
    assert "state_dict" not in body.pretrained_cfg


# ---- what does not fit


def test_weights_of_another_backbone_are_refused(tmp_path, full):
    save_file(full, tmp_path / "w.safetensors")
    found = weights.find_weights("test_vit", str(tmp_path / "w.safetensors"))
    with pytest.raises(ImgregError, match=r"\d+ of \d+ tensors of test_vit .*, first 'cls_token'"):
        build_body("test_vit", (64, 64), None, found)


def test_tensors_with_foreign_names_are_refused_though_timm_would_keep_random_ones(tmp_path, full, caplog,
                                                                                          monkeypatch):
    torch.save({f"{k}_x": v for k, v in full.items()}, tmp_path / "w.pth")
    monkeypatch.setattr(timm, "list_models", lambda *_: [ARCH])
    found = weights.find_weights(ARCH, str(tmp_path / "w.pth"))
    with pytest.raises(ImgregError, match=r"tensors of test_resnet have no match in w\.pth"):
        build_body(ARCH, SIZE, None, found)
    assert not caplog.records  # timm would list them all


def test_a_model_of_another_backbone_is_refused(tmp_path):
    save_file(ours("test_vit").state_dict(), tmp_path / "m.safetensors")
    found = weights.find_weights(ARCH, str(tmp_path / "m.safetensors"))
    with pytest.raises(ImgregError, match="weights that fit test_resnet"):
        build_body(ARCH, SIZE, None, found)


def test_a_file_that_makes_timm_fail_is_refused_by_what_is_lacking(tmp_path, monkeypatch):
    def fail(state, model):
        raise KeyError("of no interest")

    monkeypatch.setattr("timm.models.swin_transformer.checkpoint_filter_fn", fail)
    monkeypatch.setattr(timm, "list_models", lambda *_: [ARCH])  # a search through all takes half a minute
    arch, args = "swin_tiny_patch4_window7_224", {"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4)}
    save_file({"w": torch.zeros(1)}, tmp_path / "w.safetensors")
    found = weights.find_weights(arch, str(tmp_path / "w.safetensors"))
    with pytest.raises(ImgregError, match=r"(\d+) of \1 tensors .*, first 'patch_embed\.proj\.weight'"):
        build_body(arch, (64, 64), args, found)


def test_an_altered_architecture_lets_auto_start_from_scratch_and_hub_fail(tmp_path, full, caplog):
    put_in_cache(tmp_path, as_bytes(full, tmp_path))
    args = {"channels": (16, 32, 48, 64)}
    body, found = build_body(ARCH, SIZE, args, weights.find_weights(ARCH, "auto"))
    assert found.origin == "none" and "tensors of test_resnet have no match in" in found.note
    assert len(warnings_of(caplog)) == 1
    assert body(torch.zeros(2, 3, *SIZE)).shape == (2, timm_body.n_features(body))
    with pytest.raises(ImgregError, match="tensors of test_resnet have no match in"):
        build_body(ARCH, SIZE, args, weights.find_weights(ARCH, "hub"))


def test_a_few_missing_tensors_are_named_and_the_rest_is_loaded(tmp_path, full, caplog):
    del full["bn1.weight"]
    save_file(full, tmp_path / "w.safetensors")
    body, found = build_body(ARCH, SIZE, None, weights.find_weights(ARCH, str(tmp_path / "w.safetensors")))
    assert found.origin == "file" and "1 of" in found.note and "'bn1.weight'" in found.note
    assert len(warnings_of(caplog)) == 1
    assert all(torch.equal(v, full[k]) for k, v in body.state_dict().items() if k != "bn1.weight")


def test_loading_leaves_torch_as_it_was(tmp_path, full):
    before = torch.nn.Module.load_state_dict
    save_file(full, tmp_path / "w.safetensors")
    found = weights.find_weights("test_vit", str(tmp_path / "w.safetensors"))
    with pytest.raises(ImgregError):
        build_body("test_vit", (64, 64), None, found)
    assert torch.nn.Module.load_state_dict is before


# ---- what is no weights file


class Evil:
    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_a_malicious_pickle_runs_nothing(tmp_path, protocol):
    evil, path = Evil(), tmp_path / "evil.pth"
    evil.path = str(tmp_path / "pwned")
    if protocol == "torch":
        torch.save({"conv1.weight": evil}, path)
    else:
        path.write_bytes(pickle.dumps({"conv1.weight": evil}, protocol=2))
    with pytest.raises(ImgregError, match="state dict of tensors"):
        weights.find_weights(ARCH, str(path))
    assert not (tmp_path / "pwned").exists()
    torch.load(path, weights_only=False) if protocol == "torch" else pickle.loads(path.read_bytes())
    assert (tmp_path / "pwned").exists()  # it would have


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("w.safetensors", b"no weights at all", "a safetensors file"),
        ("w.safetensors", b"", "a safetensors file"),
        ("w.pth", b"no weights at all", "a state dict"),
        ("w.pth", b"", "a state dict"),
        ("w.onnx", b"", ".safetensors"),
        ("w.imgreg", b"{}", "a safetensors file"),
    ],
)
def test_files_that_are_no_weights(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImgregError) as e:
        weights.find_weights(ARCH, str(tmp_path / name))
    assert says in str(e.value) and name in str(e.value) and "\n" not in str(e.value)
    if name != "w.onnx":
        assert ("which is text" if content else "which is empty") in str(e.value)


def test_files_that_are_not_all_there_and_whole_models(tmp_path, full):
    for name, save in (("w.pth", torch.save), ("w.safetensors", save_file)):
        save(full, tmp_path / name)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1000])
        with pytest.raises(ImgregError, match=f"'{name}', which is damaged, or not all of it"):
            weights.find_weights(ARCH, str(tmp_path / name))
    with ZipFile(tmp_path / "z.pth", "w") as file:
        file.writestr("notes.txt", "no weights")
    with pytest.raises(ImgregError, match=r"'z\.pth', which holds something else"):
        weights.find_weights(ARCH, str(tmp_path / "z.pth"))
    torch.save(torch.nn.Linear(2, 2), tmp_path / "m.pth")
    with pytest.raises(ImgregError, match=r"Python objects beside them; try torch.save\(model.state_dict"):
        weights.find_weights(ARCH, str(tmp_path / "m.pth"))


def test_pickles_and_bundles_that_hold_something_else(tmp_path, full):
    torch.save({"epoch": 3}, tmp_path / "e.pth")
    torch.save([torch.zeros(1)], tmp_path / "l.pth")
    torch.save({}, tmp_path / "nil.pth")
    save_file({}, tmp_path / "empty.safetensors")
    save_file(full, tmp_path / "b.imgreg")
    (tmp_path / "folder").mkdir()
    for name in ("e.pth", "l.pth", "nil.pth", "empty.safetensors", "b.imgreg", "folder", "absent.pth", "imagenet"):
        with pytest.raises(ImgregError, match=name):
            weights.find_weights(ARCH, str(tmp_path / name))


@pytest.mark.parametrize("about", ["[]", "{", '{"task": null}', '{"task": {"targets": 3}}', '{"task": {"name": 3}}'])
def test_a_head_of_who_knows_what_is_not_loaded(tmp_path, about):
    net = network.network("test_resnet", SIZE, 2)
    save_file(net.state_dict(), tmp_path / "odd.safetensors", metadata={"imgreg": about})
    found = weights.find_weights("test_resnet", str(tmp_path / "odd.safetensors"))
    assert found.origin == "model" and weights.load_head(net, found, ANGLE) is False


def test_places_are_loaded_with_the_head_or_neither_is(tmp_path):
    task = Task("spot", (Point("spot", ("x", "y")),), SIZE)
    torch.manual_seed(1)
    for name, kind in (("placed", "positions"), ("unplaced", "pooled")):
        net = network.network("test_resnet", SIZE, 2, kind=kind)
        about = model_file.model_metadata(task, "test_resnet", {}, ((0,) * 3, (1,) * 3), {}, head=kind)
        model_file.save_model(tmp_path / f"{name}.imgreg", net, about)
    new = network.network("test_resnet", SIZE, 2, kind="positions")
    found = weights.find_weights("test_resnet", str(tmp_path / "placed.imgreg"))
    body, _ = build_body("test_resnet", SIZE, None, found)
    source = model_file.load_model(tmp_path / "placed.imgreg").network
    assert all(torch.equal(v, source[0].timm_body.state_dict()[k]) for k, v in body.state_dict().items())
    assert weights.load_head(new, found, task)
    assert torch.equal(new[0].places[0].weight, source[0].places[0].weight)
    assert torch.equal(new[1][0].weight, source[1][0].weight)
    assert not weights.load_head(new, weights.find_weights("test_resnet", str(tmp_path / "unplaced.imgreg")), task)


def test_a_head_whose_outputs_stand_for_other_numbers_is_not_loaded_and_that_is_said(tmp_path, caplog):
    def task(**of):
        return Task("t", (Number("age", ("age",), **{"low": 1.0, "high": 10.0, "scale": "linear", **of}),), SIZE)

    net = network.network(ARCH, SIZE, 1)
    about = model_file.model_metadata(task(), ARCH, {}, ((0,) * 3, (1,) * 3), {})
    model_file.save_model(tmp_path / "m.imgreg", net, about)
    found = weights.find_weights(ARCH, str(tmp_path / "m.imgreg"))
    caplog.set_level(logging.INFO, "imgreg")
    assert weights.load_head(net, found, task(unit="years", weight=2.0)) and not caplog.records
    assert not weights.load_head(net, found, task(scale="log"))
    assert not weights.load_head(net, found, task(high=12.0))
    assert [r.getMessage() for r in caplog.records] == [
        "the head of age was made for scale linear; here it is to learn scale log",
        "the head of age was made for high 10.0; here it is to learn high 12.0"]
