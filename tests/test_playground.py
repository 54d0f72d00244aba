"""The playground: points, the batches that a student's loss gets, every form of loss, the still picture and the player."""

import html
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from course_utils import ROOT, playground, plots, settings
from course_utils.authoring import moons
from course_utils.batches import Batch
from course_utils.playground import films, pictures, watching
from course_utils.playground.pictures import percent
from course_utils.training import TrainingDiverged, supervised_loss


def agree(model, batch):
    """A loss with two views, in the form of lesson 05."""
    with torch.no_grad():
        target = model(batch.x_w).softmax(1)
    agreement = (model(batch.x_s).softmax(1) - target).square().mean()
    return F.cross_entropy(model(batch.x_l), batch.y_l) + agreement, {"agreement": agreement.item()}


def spread(W, Y, labelled, num_steps):
    """Labels that go on to the neighbours, in the form of lesson 03."""
    masses = Y
    for _ in range(num_steps):
        masses = np.where(labelled[:, None], Y, W @ masses)
    return masses


def near(x):
    return (np.linalg.norm(x[:, None] - x[None], axis=2) < 0.14).astype(float)


@pytest.fixture
def shown(monkeypatch):
    calls = []
    monkeypatch.setattr(plots, "display", lambda data, **options: calls.append((data, options)))
    return calls


@pytest.fixture
def in_a_notebook(monkeypatch):
    monkeypatch.setattr(settings, "WIDGETS", True)
    monkeypatch.setattr(plots, "get_ipython", object)


# ---------------------------------------------------------------------------------------------------------- points


@pytest.mark.parametrize("kind", playground.KINDS)
def test_points_of_every_kind(kind):
    pool = playground.points(kind, num_labels=4)
    truth = pool.measure_labels(torch.arange(500))
    assert pool.images.shape == (500, 2, 1, 1) and pool.images.dtype == torch.float32
    assert pool.class_counts().tolist() == [4, 4] and torch.equal(truth[pool.labelled], pool.y_l)
    assert truth.bincount().tolist() == ([450, 50] if kind == "uneven" else [250, 250])
    again, other = playground.points(kind, num_labels=4), playground.points(kind, num_labels=4, seed=1)
    assert torch.equal(pool.images, again.images) and torch.equal(pool.labelled, again.labelled)
    assert not torch.equal(pool.images, other.images)


def test_labels_at_the_tips_lie_in_the_other_moon():
    tips, anywhere = playground.points("tips"), playground.points("moons")
    assert torch.equal(tips.images, anywhere.images)

    def distances(pool):
        middle = [pool.images[pool.measure_labels(torch.arange(500)) == c].mean(0) for c in (1, 0)]
        return [float((pool.images[i] - middle[y]).norm()) for i, y in zip(pool.labelled, pool.y_l)]

    assert max(distances(tips)) < min(distances(anywhere))


def test_the_gap_lies_inside_a_class():
    pool = playground.points("gap")
    across = pool.images[:, 0, 0, 0]
    order = across.argsort()
    widest = across[order].diff().argmax()
    left, right = order[: widest + 1], order[widest + 1 :]
    assert across[order].diff()[widest] > 0.2
    assert pool.measure_labels(right).unique().tolist() == [1] and set(pool.measure_labels(left).tolist()) == {0, 1}


def test_more_noise_spreads_the_points():
    assert playground.points(noise=0.5).images.std() > playground.points(noise=0.0).images.std()


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        ({"kind": "stars"}, r"no points of kind 'stars': use 'moons', 'rings'"),
        ({"num_labels": 251}, "num_labels from 1 to 250"),
        ({"num_labels": 0}, "num_labels from 1"),
        ({"kind": "uneven", "num_labels": 51}, "from 1 to 50, the size of the smaller class"),
        ({"num_points": 5}, "use 20 or more"),
    ],
)
def test_points_that_cannot_be_drawn(arguments, cure):
    with pytest.raises(ValueError, match=cure):
        playground.points(**arguments)


# -------------------------------------------------------------------------------------------------------- training


def test_the_loss_gets_the_batches_of_the_lessons(shown):
    batches: list[Batch] = []

    def spy(model, batch):
        batches.append(batch)
        return supervised_loss(model, batch)

    pool = playground.points()
    playground.watch(spy, kind=pool, weak=0.01, strong=0.3, num_steps=5)
    assert len(batches) == 5
    batch = batches[-1]
    assert batch.x_l.shape == (6, 2, 1, 1) and sorted(batch.y_l.tolist()) == [0, 0, 0, 1, 1, 1]
    assert batch.x_w.shape == batch.x_s.shape == (198, 2, 1, 1) and batch.index.shape == (198,)
    for view, sd in ((batch.x_w, 0.01), (batch.x_s, 0.3)):
        assert (view - pool.images[batch.index]).std().item() == pytest.approx(sd, rel=0.15)


def test_the_same_seed_gives_the_same_frames(shown):
    first, again, other = (playground.watch(agree, num_steps=40, seed=seed).films["agree"] for seed in (3, 3, 4))
    assert [frame.step for frame in first.frames] == [*range(0, 41, 2)]
    for one, two in zip(first.frames, again.frames):
        assert np.array_equal(one.plane, two.plane) and np.array_equal(one.named, two.named)
    assert not np.array_equal(first.frames[-1].plane, other.frames[-1].plane)


def test_a_new_network_is_undecided_and_learns(shown):
    film = playground.watch(supervised_loss, num_steps=80).films["supervised loss"]
    assert (film.frames[0].plane == 0.5).all() and (film.frames[0].named == -1).all()
    assert film.accuracy(film.frames[0]) == 0 and film.accuracy() > 0.7
    hidden = np.setdiff1d(np.arange(500), film.points.labelled)
    assert film.accuracy() == pytest.approx((film.frames[-1].named == film.truth)[hidden].mean())


def test_several_losses_are_returned_by_name(shown):
    seen = playground.watch({"supervised": supervised_loss, "agreement": agree}, num_steps=10)
    assert list(seen.accuracy) == ["supervised", "agreement"]
    assert list(seen.films["agreement"].run.curves) == ["loss", "agreement"]
    assert seen.films["supervised"].points is seen.films["agreement"].points


def test_a_limit_on_steps_holds_here_too(shown, monkeypatch):
    monkeypatch.setattr(settings, "MAX_STEPS", 3)
    film = playground.watch(supervised_loss).films["supervised loss"]
    assert film.run.steps_done == film.frames[-1].step == film.strip[-1].step == 3


def test_an_interrupted_training_shows_how_far_it_came(shown):
    steps = iter(range(100))

    def stopped(model, batch):
        if next(steps) == 7:
            raise KeyboardInterrupt
        return supervised_loss(model, batch)

    film = playground.watch(stopped, num_steps=90).films["stopped"]
    assert film.run.stopped and [frame.step for frame in film.strip] == [0, 7]


@pytest.mark.parametrize(
    ("loss", "error", "cure"),
    [
        (torch.tensor(1.0), TypeError, r"hand in the function itself, loss\(model, batch\)"),
        (lambda model, batch, alpha: None, TypeError, "missing a required argument: 'alpha'.*lambda model, batch"),
        (lambda model, batch: model(batch.x_l).mean(), TypeError, "must return .scalar tensor, dict"),
        (lambda model, batch: (model(batch.x_l), {}), TypeError, "scalar tensor first"),
        (lambda model, batch: (model(batch.x_l).mean() / 0, {}), TrainingDiverged, "division by an empty count"),
        ({}, ValueError, "no loss to watch"),
    ],
)
def test_a_loss_that_does_not_fit(shown, loss, error, cure):
    with pytest.raises(error, match=cure):
        playground.watch(loss, num_steps=3)
    assert not shown


def test_images_are_no_points(digits):
    from course_utils.labels import split_labels

    with pytest.raises(ValueError, match=r"as playground.points\(\) draws them"):
        playground.watch(supervised_loss, kind=split_labels(digits, 20))


# ------------------------------------------------------------------------------------------------- graphs and games


def test_labels_flow_until_nothing_changes(shown):
    film = playground.watch_graph(spread, near).films["label propagation"]
    assert film.unit == "round" and [frame.step for frame in film.strip][:3] == [0, 1, 5]
    assert (film.frames[0].named >= 0).sum() == 6 and film.accuracy() > 0.9
    x, last = film.x.astype(float), film.frames[-1]
    Y = np.eye(2)[np.where(film.truth == 1, 1, 0)] * np.isin(np.arange(500), film.points.labelled)[:, None]
    later = spread(near(x), Y, Y.any(1), 2 * last.step)
    assert (np.where(later.sum(1) > 0, later.argmax(1), -1) == last.named).all()
    assert np.linalg.norm(x[film.edges[:, 0]] - x[film.edges[:, 1]], axis=1).max() < 0.14


@pytest.mark.parametrize(
    ("propagate", "graph", "cure"),
    [
        (spread, lambda x: x, r"weights of shape \(500, 500\), but is \(500, 2\)"),
        (lambda W, Y, labelled, num_steps: Y.argmax(1), near, r"masses of shape \(500, 2\), but gave \(500,\)"),
        (lambda W, Y, labelled, num_steps: None, near, "but gave NoneType"),
    ],
)
def test_a_graph_that_does_not_fit(shown, propagate, graph, cure):
    with pytest.raises(ValueError, match=cure):
        playground.watch_graph(propagate, graph)


def self_train(known, fit, predict, tau, num_rounds):
    """Rounds that keep the confident answers, in the form of lesson 02."""
    rounds = [(fit(known), known)]
    for _ in range(num_rounds):
        p = predict(rounds[-1][0])
        targets = torch.where(known >= 0, known, torch.where(p.max(1).values >= tau, p.argmax(1), -1))
        rounds.append((fit(targets), targets))
    return rounds


def test_rounds_of_self_training_are_the_ends_of_their_trainings(shown, monkeypatch):
    monkeypatch.setattr(settings, "MAX_STEPS", 40)
    film = playground.watch_rounds(self_train, num_rounds=2, tau=0.6).films["self-training"]
    assert [frame.step for frame in film.frames] == [0, 1, 2] and film.unit == "round" and len(shown) == 2
    words = shown[0][0]["text/plain"]
    assert re.search(r"round 0: \d+ % right; round 1: \d+ % right; round 2: \d+ % right", words)
    assert film.accuracy(film.frames[0]) > 0.5 and not np.array_equal(film.frames[0].plane, film.frames[2].plane)


def test_rounds_that_are_no_pairs_are_refused_in_words():
    with pytest.raises(ValueError, match="list of pairs"):
        playground.watch_rounds(lambda known, fit, predict, tau, num_rounds: [])


def test_a_game_shows_what_the_generator_makes(shown):
    asked = []

    def step(model, painter, optimizer, x_u, z, objective):
        loss = objective(model.features(x_u), model.features(painter(z)))
        optimizer.zero_grad()
        loss.backward(inputs=list(painter.parameters()))
        optimizer.step()
        asked.append(len(z))

    def judge(model, x_l, y_l, x_u, fakes):
        assert fakes.shape == x_u.shape and not fakes.requires_grad
        return F.cross_entropy(model(x_l), y_l), {}

    film = playground.watch_gan(judge, step, lambda real, fake: fake.mean(), num_steps=8).films["SGAN"]
    assert film.frames[-1].samples.shape == (films.NUM_SAMPLES, 2) and len(asked) == 4
    assert not np.array_equal(film.frames[0].samples, film.frames[-1].samples)
    playground.watch_gan(judge, step, lambda model, real, fake: model.head(fake).mean(), eager=3, num_steps=8)
    assert len(asked) == 4 + 24


# ---------------------------------------------------------------------------------------------------- what is shown


def test_the_still_picture_has_a_text_and_no_widget(shown):
    playground.watch(supervised_loss, title="supervised", kind="uneven", num_steps=16)
    data, options = shown[0]
    alt, width = options["metadata"]["image/png"]["alt"], options["metadata"]["image/png"]["width"]
    assert list(data) == ["image/png", "text/plain"] and width > 700
    assert alt.startswith("Two moons, one of them rare: 494 points without a label and 6 with one")
    assert re.search(
        r"supervised, panel by panel: step 0: only the labels; step 1: .*; step 16: \d+ % right, rare", alt
    )


def test_what_was_shown_is_not_shown_twice(shown):
    assert playground.watch(supervised_loss, num_steps=2)._ipython_display_() is None


def test_the_player_follows_its_slider(shown, in_a_notebook):
    film = playground.watch(agree, title="agreement", num_steps=64).films["agreement"]
    assert "application/vnd.jupyter.widget-view+json" in shown[0][0]
    screen, controls = watching.player([film, film]).children
    play, slider = controls.children
    assert (slider.description, slider.min, slider.max, slider.step) == ("step", 0, 64, 2) and play.max == 64
    seen = {}
    for step in (0, 16, 64):
        slider.value = step
        words = (
            "step 0: only the labels" if step == 0 else f"step {step}: {percent(film.accuracy(film.at(step)))} right"
        )
        figures = re.findall(r'<figcaption><b>(.*?)</b>, (.*?)</figcaption><img src="(.*?)" alt="(.*?)"', screen.value)
        assert len(figures) == 2
        for name, caption, seen[step], alt in figures:
            assert (name, html.unescape(caption), html.unescape(alt)) == ("agreement", words, f"agreement, {words}")
    assert len(set(seen.values())) == 3 and all(source.startswith("data:image/png;base64,") for source in seen.values())


def test_all_percent_is_only_said_of_all():
    assert [percent(x) for x in (0.0, 0.914, 0.994, 0.999, 1.0)] == ["0 %", "91 %", "99 %", ">99 %", "100 %"]


# ------------------------------------------------------------------------------------------- README's and site's


NAMES = {f"strip_{method.__name__}.png" for method in moons.METHODS}


def test_every_form_of_loss_gets_its_strip(tmp_path, monkeypatch):
    """All methods by their lessons' solutions, for a few steps each."""
    monkeypatch.setattr(settings, "MAX_STEPS", 6)
    written = moons.write(tmp_path)
    assert {path.name for path in written} == {*NAMES, "moons.gif"}
    with Image.open(tmp_path / "moons.gif") as moving:
        assert moving.is_animated and moving.info["loop"] == 0 and moving.info["duration"] == 2000
    assert len({Image.open(tmp_path / name).size for name in NAMES}) == 1


def test_the_shipped_pictures_are_small_and_alike():
    folder = ROOT / "docs" / "figures"
    assert {path.name for path in folder.glob("strip_*.png")} >= NAMES
    assert len({Image.open(folder / name).size for name in NAMES}) == 1
    assert all((folder / name).stat().st_size < 150_000 for name in NAMES)
    assert (folder / "moons.gif").stat().st_size < 1_000_000


def test_points_that_are_wrong_have_a_ring():
    pool = playground.points("moons")
    truth = pool.measure_labels(torch.arange(500)).numpy()
    named = truth.copy()
    named[:7] = 1 - named[:7]
    frame = films.Frame(800, named)
    panel = pictures.Panel(plots.plt.figure().add_subplot(), films.Film("supervised", pool, [frame]))
    panel.show(frame)
    _, *classes = panel.pool
    ringed = [np.asarray(dots.get_linewidth()) > 0 for dots in classes]
    assert [int(some.sum()) for some in ringed] == [int((named[:7] == c).sum()) for c in (0, 1)]
    assert sum(map(len, ringed)) == 500
    plots.plt.close("all")
