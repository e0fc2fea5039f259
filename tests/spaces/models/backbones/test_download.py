"""Downloading Keras' ImageNet weights: from a server, from the cache, and errors."""

import functools
import hashlib
import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from spaces import SpaceError
from spaces.models.backbones import (
    Backbone,
    Weights,
    build_backbone,
    fetch_imagenet_weights,
    find_backbone,
    preprocess,
)
from spaces.models.backbones.download import imagenet_file, imagenet_path

SIZE = (32, 32)
Serve = Callable[[bytes, str | None], Backbone]


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of Keras."""
    home = tmp_path / "keras"
    monkeypatch.setenv("KERAS_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect again at once."""
    monkeypatch.setattr("spaces.downloads.files.sleep", lambda _: None)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder on a local web server, and its URL."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    """A silent handler that declares `cut.h5` longer than it is."""

    def log_message(self, *_: object) -> None:
        pass

    def send_header(self, keyword: str, value: str) -> None:
        if keyword == "Content-Length" and self.path.endswith("cut.h5"):
            value = str(2 * int(value))
        super().send_header(keyword, value)


@pytest.fixture
def serve(server: tuple[Path, str]) -> Serve:
    """Make a backbone whose weights come from the local server."""
    folder, url = server

    def put(content: bytes, file_hash: str | None, name: str = "weights.h5") -> Backbone:
        (folder / name).write_bytes(content)
        backbone = find_backbone("mobilenet_v3_small")
        file = replace(backbone.imagenet[0], url=f"{url}/{name}", hash=file_hash)
        return replace(backbone, imagenet=(file,))

    return put


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Weights in the older format in which Keras publishes them."""
    path = tmp_path_factory.mktemp("weights") / "any.h5"
    network = keras.applications.MobileNetV3Small(
        weights=None, include_top=False, input_shape=(*SIZE, 3)
    )
    network.save(path)
    return path.read_bytes()


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_weights_are_downloaded_once_and_checked(
    serve: Serve, server: tuple[Path, str], weights: bytes, algorithm: str, keras_home: Path
) -> None:
    backbone = serve(weights, hashlib.new(algorithm, weights).hexdigest())
    path = fetch_imagenet_weights(backbone, SIZE)
    assert path == keras_home / "models" / backbone.imagenet[0].name
    assert path.read_bytes() == weights
    shutil.rmtree(server[0])
    assert fetch_imagenet_weights(backbone, SIZE) == path


def test_weights_of_another_hash_are_refused(serve: Serve, weights: bytes) -> None:
    backbone = serve(weights, "0" * 32)
    with pytest.raises(SpaceError, match="damaged or another file, by its checksum"):
        fetch_imagenet_weights(backbone, SIZE)
    assert not imagenet_path(backbone.imagenet[0]).exists()


@pytest.mark.parametrize("has_hash", [True, False])
def test_truncated_download_is_refused(serve: Serve, weights: bytes, has_hash: bool) -> None:
    file_hash = hashlib.md5(weights).hexdigest() if has_hash else None
    backbone = serve(weights[:50_000], file_hash)
    with pytest.raises(SpaceError, match="damaged or another file, by its checksum"):
        fetch_imagenet_weights(backbone, SIZE)
    assert not imagenet_path(backbone.imagenet[0]).exists()


def test_interrupted_connection_is_an_error_and_its_part_is_kept(
    serve: Callable[..., Backbone], weights: bytes
) -> None:
    backbone = serve(weights, None, name="cut.h5")
    path = imagenet_path(backbone.imagenet[0])
    with pytest.raises(SpaceError, match="the connection was cut after"):
        fetch_imagenet_weights(backbone, SIZE)
    assert list(path.parent.glob("[!.]*")) == [path.with_name(f"{path.name}.part")]


def test_broken_file_in_the_cache_is_downloaded_again(serve: Serve, weights: bytes) -> None:
    backbone = serve(weights, hashlib.md5(weights).hexdigest())
    path = imagenet_path(backbone.imagenet[0])
    path.parent.mkdir(parents=True)
    path.write_bytes(weights[:1000])
    assert fetch_imagenet_weights(backbone, SIZE).read_bytes() == weights


def test_error_without_a_server_names_the_file_its_url_and_its_folder(keras_home: Path) -> None:
    backbone = find_backbone("densenet121")
    file = replace(backbone.imagenet[0], url="http://127.0.0.1:9/weights.h5")
    backbone = replace(backbone, imagenet=(file,))
    with pytest.raises(SpaceError) as caught:
        fetch_imagenet_weights(backbone, SIZE)
    message = str(caught.value)
    assert len(message.splitlines()) == 2
    assert str(keras_home / "models" / file.name) in message
    assert "densenet121" in message
    assert message.count(file.url) == 1
    assert "--backbones densenet121 --weights PATH" in message
    assert "broken" not in message


def test_broken_file_is_reported_and_not_deleted(keras_home: Path) -> None:
    backbone = find_backbone("densenet121")
    file = replace(backbone.imagenet[0], url="http://127.0.0.1:9/weights.h5")
    path = imagenet_path(file)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half of it")
    with pytest.raises(SpaceError, match="a broken file is there"):
        fetch_imagenet_weights(replace(backbone, imagenet=(file,)), SIZE)
    assert path.read_bytes() == b"half of it"


def test_read_only_cache_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(SpaceError, match="Not a directory"):
        fetch_imagenet_weights(find_backbone("densenet121"), SIZE)


def test_some_networks_have_weights_for_certain_image_sizes() -> None:
    backbone = find_backbone("mobilenet_v2")
    assert "1.0_96_no_top" in imagenet_file(backbone, (96, 96)).name
    assert "1.0_224_no_top" in imagenet_file(backbone, (224, 224)).name
    assert "1.0_224_no_top" in imagenet_file(backbone, (96, 128)).name
    assert "1.0_224_no_top" in imagenet_file(backbone, (100, 100)).name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny", "VGG16"])
def test_features_of_imagenet_weights_are_those_of_keras(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shape = (*SIZE, 3)
    function = getattr(keras.applications, name)
    source = tmp_path / "source.h5"
    original = function(weights=None, include_top=False, input_shape=shape)
    for layer in original.layers:  # As in Keras' own file for EfficientNet.
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
            layer.adapt_mean.assign([0.485, 0.456, 0.406])
            layer.adapt_variance.assign([0.229, 0.224, 0.225])
    original.save(source)
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(source))
    theirs = function(weights="imagenet", include_top=False, input_shape=shape)
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype("float32")
    module = getattr(keras.applications, function.__module__.rsplit(".", 1)[-1])
    expected = theirs(module.preprocess_input(pixels.copy()), training=False)

    inputs = keras.Input(shape)
    backbone = find_backbone(name)
    mine = build_backbone(name, shape, Weights(str(source)))
    model = keras.Model(inputs, mine(preprocess(inputs, backbone.mode), training=False))
    np.testing.assert_allclose(model(pixels), expected, rtol=1e-3, atol=1e-5)
