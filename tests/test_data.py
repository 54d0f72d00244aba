"""Datasets, label draws and batches: what they promise, and what they say about bad input."""

import hashlib
import http.server
import itertools
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from course_utils import augment, datasets, settings
from course_utils.batches import batches, generator, shuffled
from course_utils.datasets import DERMAMNIST_MD5, DERMAMNIST_SIZES, DataError, load_dataset, load_lesions
from course_utils.device import DEVICE
from course_utils.labels import split_labels

SIZES = DERMAMNIST_SIZES


def write_npz(path, **changes):
    """A file with DermaMNIST's keys and shapes and random content; `changes` replaces or (with None) removes arrays."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, size in SIZES.items():
        arrays[f"{part}_images"] = np.zeros((size, 28, 28, 3), np.uint8)
        arrays[f"{part}_labels"] = rng.integers(0, 7, (size, 1)).astype(np.uint8)
    arrays |= changes
    np.savez_compressed(path, **{name: array for name, array in arrays.items() if array is not None})


def test_an_unofficial_copy_of_the_right_shape_is_used_and_labelled_so(tmp_path):
    write_npz(tmp_path / "dermamnist.npz")
    dataset = load_dataset("dermamnist", folder=tmp_path)
    assert "unofficial copy" in repr(dataset)
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (7007, 1003, 2005)
    assert dataset.train.labels.dtype == np.int64 and dataset.train.labels.ndim == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_labels": None}, "lacks val_labels"),
        ({"test_images": np.zeros((2005, 64, 64, 3), np.uint8)}, r"test has images \(2005, 64, 64, 3\)"),
        ({"train_images": np.zeros((7007, 28, 28, 3), np.float32)}, "float32"),
        ({"train_labels": np.full((7007, 1), 9, np.uint8)}, "labels from 9 to 9"),
        ({"val_labels": np.array([{"a": 1}], dtype=object)}, "damaged or not an .npz"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_cure(tmp_path, changes, message):
    path = tmp_path / "dermamnist.npz"
    write_npz(path, **changes)
    with pytest.raises(DataError, match=message) as error:
        load_dataset("dermamnist", folder=tmp_path)
    assert str(path) in str(error.value) and "Cure:" in str(error.value)
    assert path.exists()  # nothing of the user's is deleted


@pytest.mark.parametrize("content", [b"", b"<html>503</html>", None], ids=["empty", "an error page", "truncated"])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "dermamnist.npz"
    if content is None:
        write_npz(path)
        path.write_bytes(path.read_bytes()[:20_000])
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        load_dataset("dermamnist", folder=tmp_path)


def test_a_folder_without_the_file_is_named(tmp_path):
    with pytest.raises(DataError, match=f"COURSE_DATA.*{tmp_path}"):
        load_dataset("best", folder=tmp_path)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown dataset 'dermamist'"):
        load_dataset("dermamist")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home without cache, and no folder of data."""
    monkeypatch.setattr(settings, "DATA", None)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def no_network(home, monkeypatch):
    """A home without cache, where every download is refused."""
    import medmnist

    def refuse(self):
        with open(os.path.join(self.root, "dermamnist.npz"), "wb") as file:
            file.write(b"half of it")
        raise RuntimeError("Automatic download failed!")

    monkeypatch.setattr(medmnist.DermaMNIST, "download", refuse)
    return home


def test_a_refused_download_falls_back_to_the_digits_in_one_visible_line(no_network, capsys):
    dataset = load_dataset()
    printed = capsys.readouterr().out
    assert dataset.name == "digits"
    assert printed.startswith("NOTE: DermaMNIST could not be downloaded") and printed.count("\n") == 1
    assert not (no_network / ".medmnist" / "dermamnist.npz").exists()  # the half file would be found the next time


def test_a_refused_download_is_an_error_when_dermamnist_was_asked_for(no_network):
    with pytest.raises(DataError, match="could not be downloaded.*Cure: put the official"):
        load_dataset("dermamnist")


@pytest.fixture
def server(home, monkeypatch):
    """MedMNIST's own downloader, sent to a server of ours, which answers as the test wants it to: `answer` gets the request."""
    from medmnist.info import INFO

    write_npz(home / "served.npz")
    content = (home / "served.npz").read_bytes()
    found = SimpleNamespace(content=content, answer=None)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found.answer(self)

        do_HEAD = do_GET  # torchvision asks for redirects first

        def log_message(self, *arguments):
            pass

        def send(self, status=200, content=content, length=None):
            self.send_response(status)
            self.send_header("Content-Length", str(len(content) if length is None else length))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        found.address = f"http://127.0.0.1:{running.server_port}/dermamnist.npz?download=1"
        monkeypatch.setitem(INFO["dermamnist"], "url", found.address)
        monkeypatch.setitem(INFO["dermamnist"], "MD5", hashlib.md5(content).hexdigest())
        yield found
        running.shutdown()


def test_torchvision_and_medmnist_are_there_and_fit_torch():
    """Where they do not, `operator torchvision::nms does not exist`: a user would get the digits without knowing why."""
    import medmnist
    import torchvision

    assert torchvision.ops.nms(torch.tensor([[0.0, 0, 1, 1]]), torch.ones(1), 0.5).tolist() == [0]
    assert medmnist.INFO["dermamnist"]["MD5"] == DERMAMNIST_MD5


def test_a_download_is_read(server, home, capsys):
    server.answer = lambda request: request.send()
    dataset = load_dataset()
    assert dataset.name == "dermamnist" and dataset.md5 == hashlib.md5(server.content).hexdigest()
    assert "NOTE" not in capsys.readouterr().out
    server.answer = lambda request: request.send(500)
    assert load_dataset().name == "dermamnist"  # from the cache


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda request: request.send(content=request.server_version.encode()), "corrupted"),
        (lambda request: request.send(content=b"PK" * 50, length=10**6), "corrupted|IncompleteRead"),
        (lambda request: request.send(404, b""), "404"),
        (lambda request: request.connection.close(), "Remote|Connection|Error"),
    ],
    ids=["wrong checksum", "broken off", "refused", "hung up"],
)
def test_a_download_that_fails_is_one_line_and_leaves_nothing(server, home, capsys, answer, reason):
    server.answer = answer
    assert load_dataset().name == "digits"
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("NOTE: DermaMNIST could not be downloaded") and re.search(reason, line)
    assert not list((home / ".medmnist").iterdir())
    with pytest.raises(DataError, match=f"({reason}).*Cure: put the official"):
        load_dataset("dermamnist")


def test_nobody_at_the_address(home, monkeypatch, capsys):
    from medmnist.info import INFO

    monkeypatch.setitem(INFO["dermamnist"], "url", "http://127.0.0.1:9/dermamnist.npz")
    assert load_dataset().name == "digits"
    assert "refused" in capsys.readouterr().out


def test_a_download_that_stands_still_ends(server, home, monkeypatch, capsys):
    released = threading.Event()
    server.answer = lambda request: released.wait(20)
    monkeypatch.setattr(datasets, "PATIENCE", 0.3)
    before = socket.getdefaulttimeout()
    assert load_dataset().name == "digits" and socket.getdefaulttimeout() == before
    released.set()
    assert "timed out" in capsys.readouterr().out


def test_the_stop_button_stops_a_download(home, monkeypatch):
    """medmnist takes it for a download that failed."""
    import torchvision.datasets.utils

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_dataset()


@pytest.mark.parametrize("name", ["best", "dermamnist"])
def test_a_torchvision_that_does_not_fit_is_no_silent_change_of_the_data(home, tmp_path, name):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    code = f"from course_utils.datasets import load_dataset; load_dataset({name!r})"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HOME": str(home)}
    environment.pop("COURSE_DATA", None)
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 1 and "NOTE" not in result.stdout
    last = result.stderr.strip().splitlines()[-1]
    assert (
        "torchvision::nms does not exist" in last and "Cure: install both in the versions of requirements.txt" in last
    )


def test_a_cache_folder_that_cannot_be_made_is_no_traceback(no_network, capsys):
    (no_network / ".medmnist").write_text("a file where the folder should be")
    assert load_dataset().name == "digits"
    assert "FileExistsError" in capsys.readouterr().out


def test_medmnists_cache_is_found(no_network):
    (no_network / ".medmnist").mkdir()
    write_npz(no_network / ".medmnist" / "dermamnist.npz")
    assert load_dataset().name == "dermamnist"


def test_a_read_only_data_folder_is_enough(tmp_path):
    write_npz(tmp_path / "dermamnist.npz")
    tmp_path.chmod(0o555)
    try:
        assert load_dataset("dermamnist", folder=tmp_path).name == "dermamnist"
    finally:
        tmp_path.chmod(0o755)


def test_dermamnist_is_read_as_medmnist_reads_it(dermamnist):
    import medmnist

    root = settings.DATA or os.path.expanduser("~/.medmnist")
    for split in (dermamnist.train, dermamnist.val, dermamnist.test):
        theirs = medmnist.DermaMNIST(split=split.name, root=root)
        assert np.array_equal(split.images, theirs.imgs) and np.array_equal(split.labels, theirs.labels[:, 0])
    names = [name.split(" ")[0] for name in medmnist.INFO["dermamnist"]["label"].values()]
    assert len(names) == dermamnist.num_classes
    assert np.bincount(dermamnist.train.labels).tolist() == [228, 359, 769, 80, 779, 4693, 99]


def test_digits_are_balanced_and_disjoint(digits):
    assert (len(digits.train), len(digits.val), len(digits.test)) == (3500, 500, 1000)
    assert set(np.bincount(digits.train.labels)) == {350}
    together = {image.tobytes() for split in (digits.train, digits.val, digits.test) for image in split.images}
    assert len(together) == 5000


# ---------------------------------------------------------------------------------------------------------- lesion ids


def ids_of(dataset):
    """A table of ids as it belongs to a dataset: two images a lesion, no lesion in two splits."""
    parts = [
        pd.DataFrame(
            {
                "split": split.name,
                "index": np.arange(len(split)),
                "lesion_id": [f"{split.name}_{i // 2:04d}" for i in range(len(split))],
                "label": split.labels,
            }
        )
        for split in (dataset.train, dataset.val, dataset.test)
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def fake_dermamnist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("without ids")
    write_npz(folder / "dermamnist.npz")
    return load_dataset("dermamnist", folder=folder)


def test_where_there_is_no_file_of_ids_there_are_none(fake_dermamnist, tmp_path, monkeypatch):
    assert load_lesions(fake_dermamnist, folder=tmp_path) is None
    monkeypatch.setattr(settings, "DATA", None)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_lesions(fake_dermamnist) is None


def test_the_digits_have_no_lesions(digits, tmp_path):
    ids_of(digits).to_csv(tmp_path / "dermamnist_ids.csv")
    assert load_lesions(digits, folder=tmp_path) is None


@pytest.mark.parametrize("where", ["folder", "setting", "cache"])
def test_ids_come_in_the_order_of_the_split_whatever_the_order_of_the_rows(
    fake_dermamnist, tmp_path, monkeypatch, where
):
    monkeypatch.setattr(settings, "DATA", None)
    folder = tmp_path / ".medmnist"
    folder.mkdir()
    if where == "setting":
        monkeypatch.setattr(settings, "DATA", str(folder))
    if where == "cache":
        monkeypatch.setenv("HOME", str(tmp_path))
    table = ids_of(fake_dermamnist).sample(frac=1, random_state=0)
    table.assign(dx="nv").to_csv(folder / "dermamnist_ids.csv", index=False)  # a column more does no harm
    lesions = load_lesions(fake_dermamnist, folder if where == "folder" else None)
    assert set(lesions) == {"train", "val", "test"}
    for name, size in SIZES.items():
        assert lesions[name].tolist() == [f"{name}_{i // 2:04d}" for i in range(size)]
        assert lesions[name].dtype.kind == "U"  # plain strings: np.isin compares them fast


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(label=np.roll(t["label"], 1)), "index or labels of train differ"),
        (lambda t: t.assign(label=t["label"].where(t.index < len(t) - 1, t["label"] + 1)), "labels of test differ"),
        (lambda t: t.drop(t.index[-1]), "index or labels of test differ"),
        (lambda t: t.drop(SIZES["train"]), "index or labels of val differ"),
        (lambda t: t[t["split"] != "val"], "index or labels of val differ"),
        (lambda t: pd.concat([t, t.tail(1)]), "index or labels of test differ"),
        (lambda t: t.assign(index=t["index"] + 1), "index or labels of train differ"),
        (lambda t: t.drop(columns="lesion_id"), "cannot be read.*lesion_id"),
        (lambda t: t.drop(columns="label"), "cannot be read.*label"),
        (lambda t: pd.DataFrame(), "cannot be read"),
    ],
    ids=[
        "labels",
        "a label",
        "a row",
        "a row of val",
        "a split",
        "a row twice",
        "index",
        "no ids",
        "no labels",
        "empty",
    ],
)
def test_ids_of_another_copy_are_refused_with_the_cure(fake_dermamnist, tmp_path, change, message):
    path = tmp_path / "dermamnist_ids.csv"
    change(ids_of(fake_dermamnist)).to_csv(path, index=False)
    with pytest.raises(DataError, match=message) as error:
        load_lesions(fake_dermamnist, folder=tmp_path)
    assert str(path) in str(error.value) and "Cure:" in str(error.value)


def test_the_leak_of_dermamnist(dermamnist):
    lesions = load_lesions(dermamnist)
    if lesions is None:
        pytest.skip("needs dermamnist_ids.csv beside the images")
    assert {name: len(ids) for name, ids in lesions.items()} == SIZES
    assert np.isin(lesions["test"], lesions["train"]).sum() == 693
    assert np.isin(lesions["val"], lesions["train"]).sum() == 348


# ------------------------------------------------------------------------------------------------------------ draws


def test_the_stratified_draw_has_the_shares_of_the_split(dermamnist):
    assert split_labels(dermamnist, 500).class_counts().tolist() == [16, 26, 55, 6, 55, 335, 7]
    assert split_labels(dermamnist, 350).class_counts().tolist() == [11, 18, 38, 4, 39, 235, 5]
    assert split_labels(dermamnist, 100).class_counts().tolist() == [3, 5, 11, 1, 11, 67, 2]


def test_a_draw_is_repeatable_and_differs_between_seeds(best_dataset):
    first, again, other = (split_labels(best_dataset, 100, seed) for seed in (0, 0, 1))
    assert first.id == again.id and torch.equal(first.labelled, again.labelled)
    assert first.id != other.id


def test_the_draw_has_the_right_labels_and_keeps_the_others_apart(best_dataset):
    label_split = split_labels(best_dataset, 100)
    truth = torch.from_numpy(best_dataset.train.labels)
    assert torch.equal(label_split.y_l, truth[label_split.labelled])
    assert len(label_split.images) == len(best_dataset.train)  # the labelled images are part of the pool
    assert torch.equal(label_split.measure_labels(torch.tensor([5, 3])), truth[[5, 3]])
    public = [value for name, value in vars(label_split).items() if not name.startswith("_")]
    assert not any(
        isinstance(value, torch.Tensor) and torch.equal(value, truth)
        for value in public
        if getattr(value, "shape", None) == truth.shape
    )


def test_the_balanced_draw(best_dataset):
    label_split = split_labels(best_dataset, 7 * best_dataset.num_classes, how="balanced")
    assert set(label_split.class_counts().tolist()) == {7}


@pytest.mark.parametrize("number", [0, -1, 10_000])
def test_an_impossible_number_of_labels_is_refused(best_dataset, number):
    with pytest.raises(ValueError, match=f"cannot draw {number} labels: ask for 1 to"):
        split_labels(best_dataset, number)


def test_an_impossible_balanced_draw_is_refused(best_dataset):
    with pytest.raises(ValueError, match="multiple of"):
        split_labels(best_dataset, best_dataset.num_classes + 1, how="balanced")
    with pytest.raises(ValueError, match="unknown way to choose the labels"):
        split_labels(best_dataset, 100, how="random")


def test_a_balanced_draw_needs_enough_images_of_each_class(dermamnist):
    with pytest.raises(ValueError, match="rarest class has 80 images"):
        split_labels(dermamnist, 81 * 7, how="balanced")


def test_a_class_without_label_is_warned_about(best_dataset):
    with pytest.warns(UserWarning, match="no image is labelled"):
        split_labels(best_dataset, best_dataset.num_classes - 1)


def test_all_labels_can_be_drawn(best_dataset):
    assert len(split_labels(best_dataset, len(best_dataset.train)).labelled) == len(best_dataset.train)


# ---------------------------------------------------------------------------------------------------------- batches


def test_after_one_pass_every_unlabelled_image_was_seen_once(best_dataset):
    label_split = split_labels(best_dataset, 50 if best_dataset.name == "digits" else 100)
    n, size = len(label_split.images), 64
    seen = torch.cat(
        [
            b.index
            for b in itertools.islice(
                batches(label_split, augment.plain, augment.plain, batch_size=16, mu=4), n // size + 1
            )
        ]
    )
    assert sorted(seen[:n].tolist()) == list(range(n))


def test_the_stream_never_ends_and_every_batch_is_full():
    stream = shuffled(torch.arange(10), 4, generator(0, "test"))
    taken = list(itertools.islice(stream, 10))
    assert all(len(batch) == 4 for batch in taken)
    assert torch.bincount(torch.cat(taken)).tolist() == [4] * 10
    other = list(itertools.islice(shuffled(torch.arange(10), 4, generator(1, "test")), 10))
    assert not torch.equal(torch.cat(taken), torch.cat(other))


def test_nothing_to_draw_from_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        next(shuffled(torch.arange(0), 4, generator(0, "test")))


def test_views_belong_to_their_images_and_are_drawn_apart(best_dataset):
    label_split = split_labels(best_dataset, 100)
    weak, strong = augment.views(best_dataset)
    plain = next(batches(label_split, augment.plain, augment.plain, batch_size=8, mu=2))
    assert torch.equal(plain.x_w, augment.plain(label_split.images[plain.index])) and torch.equal(plain.x_w, plain.x_s)
    assert torch.equal(
        plain.y_l,
        torch.cat(
            [
                label_split.measure_labels((augment.plain(label_split.images) == x).flatten(1).all(1).nonzero()[0])
                for x in plain.x_l
            ]
        ),
    )
    same_view = next(batches(label_split, weak, weak, batch_size=8, mu=2))
    assert not torch.equal(same_view.x_w, same_view.x_s)
    one, again = (next(batches(label_split, weak, strong, batch_size=8, mu=2, seed=3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, again))


def test_supervised_batches_hold_no_unlabelled_images(best_dataset):
    batch = next(batches(split_labels(best_dataset, 100), augment.plain, batch_size=8))
    assert batch.x_w is None and batch.x_s is None and batch.index is None


needs_cpu = pytest.mark.skipif(DEVICE.type != "cpu", reason="on a GPU batches are made one by one")


@needs_cpu
def test_batches_made_in_a_second_thread_are_the_same(best_dataset, monkeypatch):
    label_split, (weak, strong) = split_labels(best_dataset, 100), augment.views(best_dataset)
    taken, threads = {}, {}

    def spy(x, rng):
        threads[cores].add(threading.get_ident())
        return strong(x, rng)

    for cores in (1, 64):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        threads[cores] = set()
        taken[cores] = list(itertools.islice(batches(label_split, weak, spy, batch_size=8, mu=2), 20))
    for one, other in zip(taken[1], taken[64], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other))
    assert threads[1] == {threading.get_ident()} and threading.get_ident() not in threads[64]


@needs_cpu
def test_what_a_view_raises_in_the_second_thread_reaches_the_caller(best_dataset, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)

    def view(x, rng):
        raise ValueError("this view does not work")

    with pytest.raises(ValueError, match="this view does not work"):
        next(batches(split_labels(best_dataset, 100), view))


@needs_cpu
def test_a_dropped_stream_leaves_no_thread_behind(best_dataset, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    before = set(threading.enumerate())
    stream = batches(split_labels(best_dataset, 100), augment.plain)
    next(stream)
    (thread,) = set(threading.enumerate()) - before
    del stream
    thread.join(10)
    assert not thread.is_alive()


def test_one_generator_per_purpose():
    a, b = generator(0, "a"), generator(0, "b")
    assert not torch.equal(torch.rand(4, generator=a), torch.rand(4, generator=b))


def test_the_data_is_never_copied_into_the_project():
    root = Path(__file__).parent.parent
    found = [path.relative_to(root) for path in root.rglob("*.npz")]
    assert not [path for path in found if not path.parts[0].startswith(".venv")]  # environments: make lab, make newest
