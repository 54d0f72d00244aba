"""Lesson 05: invariants on random inputs, agreement with libraries, and the pieces that the package has for it."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lessons import SOURCES, functions, notebook, solutions
from PIL import Image
from sklearn.metrics import f1_score
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from course_utils.batches import Batch
from course_utils.datasets import DataError, load_kvasir
from course_utils.models import SimpleCNN, UNet, num_parameters


@pytest.fixture(scope="module")
def lesson():
    return solutions("05")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def network(seed, channels=3, num_classes=5):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SimpleCNN(channels, num_classes)


def batch(seed=0, labelled=6, unlabelled=10):
    r = rng(seed)
    x_l, x_w, x_s = (torch.randn(n, 3, 28, 28, generator=r) for n in (labelled, unlabelled, unlabelled))
    return Batch(x_l, torch.randint(5, (labelled,), generator=r), x_w, x_s, torch.arange(unlabelled))


# ---------------------------------------------------------------------------------------------------- loss and ramp


def test_the_loss_is_torchs_mean_squared_error_and_bounded(lesson):
    z, t = torch.randn(40, 7, generator=rng()), torch.randn(40, 7, generator=rng(1)).softmax(1)
    torch.testing.assert_close(lesson.consistency_loss(z, t), F.mse_loss(z.softmax(1), t))
    torch.testing.assert_close(lesson.consistency_loss(z, z.softmax(1)), torch.tensor(0.0))
    torch.testing.assert_close(lesson.consistency_loss(z + 3, t), lesson.consistency_loss(z, t))
    opposite = lesson.consistency_loss(1000 * torch.eye(7), torch.eye(7).roll(1, 0))
    torch.testing.assert_close(opposite, torch.tensor(2 / 7))


def test_the_ramp_rises_to_one_and_stays(lesson):
    values = [lesson.ramp_up(step, 50) for step in range(120)]
    assert values[0] == pytest.approx(np.exp(-5)) and values[50:] == [1.0] * 70
    assert all(values[i] < values[i + 1] for i in range(50))
    assert lesson.ramp_up(0, 0) == 1.0


# --------------------------------------------------------------------------------------------------------- the step


@pytest.mark.parametrize("seed", range(5))
def test_where_student_and_teacher_differ_the_gradient_of_the_consistency_loss_is_not_zero(lesson, seed):
    student, teacher, some = network(seed), network(seed + 100), batch(seed)
    gradients = []
    for weight in (0.0, 1.0):
        loss, logs = lesson.consistency_step(student, teacher, some, weight)
        gradients.append(torch.autograd.grad(loss, student.head.weight, retain_graph=True)[0])
    assert logs["consistency"] > 0 and (gradients[0] - gradients[1]).abs().max() > 1e-6
    loss.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_without_weight_a_step_is_supervised_and_equal_views_of_a_student_in_evaluation_mode_agree(
    lesson,
):
    model, some = network(0).eval(), batch()
    loss, _ = lesson.consistency_step(model, network(1), some, 0.0)
    torch.testing.assert_close(loss, F.cross_entropy(model(some.x_l), some.y_l))
    _, logs = lesson.consistency_step(model, model, some._replace(x_s=some.x_w), 1.0)
    assert logs["consistency"] == pytest.approx(0, abs=1e-9)


# -------------------------------------------------------------------------------------------- temporal ensembling


def test_targets_are_weighted_means_of_the_answers_so_far(lesson):
    r, alpha = rng(), 0.6
    Z, counts, history = torch.zeros(20, 4), torch.zeros(20, dtype=torch.int64), [[] for _ in range(20)]
    for _ in range(30):
        index = torch.randperm(20, generator=r)[:7]
        z = torch.randn(7, 4, generator=r).softmax(1)
        for i, answer in zip(index.tolist(), z):
            history[i].append(answer)
        Z, counts, target = lesson.ensemble_update(Z, counts, index, z, alpha)
        torch.testing.assert_close(target.sum(1), torch.ones(7))
        for i, t in zip(index.tolist(), target):
            weights = alpha ** torch.arange(len(history[i]) - 1.0, -1, -1)
            mean = (weights[:, None] * torch.stack(history[i])).sum(0) / weights.sum()
            torch.testing.assert_close(t, mean)
    assert counts.tolist() == [len(answers) for answers in history]


# ------------------------------------------------------------------------------------------------- the mean teacher


def test_the_teacher_agrees_with_torchs_averaged_model(lesson):
    student, decay = network(0), 0.9
    teacher = copy.deepcopy(student)
    averaged = AveragedModel(student, multi_avg_fn=get_ema_multi_avg_fn(decay))
    averaged.update_parameters(student)  # the first update of torch's is a copy
    for seed in range(1, 6):
        student.load_state_dict(network(seed).state_dict())
        averaged.update_parameters(student)
        lesson.update_teacher(teacher, student, 10_000, decay)
    for ours, torchs in zip(teacher.parameters(), averaged.module.parameters()):
        torch.testing.assert_close(ours, torchs)


def test_early_on_the_teacher_is_the_plain_mean_of_all_students_so_far(lesson):
    teacher, seen = network(0), []
    for step in range(8):
        student = network(step + 10)
        seen.append(student.head.weight.detach())
        lesson.update_teacher(teacher, student, step, 0.999)
        torch.testing.assert_close(teacher.head.weight.detach(), torch.stack(seen).mean(0))


def test_the_buffers_of_the_teacher_are_those_of_the_student(lesson):
    student, teacher = network(0), network(1)
    with torch.no_grad():
        student(5 + 3 * torch.randn(64, 3, 28, 28, generator=rng()))  # in training mode: moves the statistics
    before = {name: value.clone() for name, value in student.state_dict().items()}
    lesson.update_teacher(teacher, student, 500, 0.99)
    for (name, ours), right in zip(teacher.named_buffers(), student.buffers()):
        assert torch.equal(ours, right) and ours.data_ptr() != right.data_ptr(), name
    assert teacher.convolutions[1].num_batches_tracked == 1
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())


# ---------------------------------------------------------------------------------------------------- segmentation


def test_dice_of_hard_masks_is_scikit_learns_f1_score(lesson):
    p, mask = ((torch.rand(20, 1, 9, 7, generator=rng(seed)) < 0.4).float() for seed in (0, 1))
    right = [f1_score(m.flatten().numpy(), a.flatten().numpy()) for a, m in zip(p, mask)]
    torch.testing.assert_close(lesson.soft_dice(p, mask), torch.tensor(right, dtype=torch.float32))
    torch.testing.assert_close(lesson.soft_dice(mask, p), lesson.soft_dice(p, mask))
    torch.testing.assert_close(lesson.soft_dice(mask, mask), torch.ones(20))


def test_a_warp_moves_what_is_computed_from_an_image_as_it_moves_the_image(lesson):
    image = torch.randn(50, 3, 28, 28, generator=rng())
    warped, target = lesson.same_warp(image, image.mean(1, keepdim=True), rng(1))
    torch.testing.assert_close(target, warped.mean(1, keepdim=True))
    torch.testing.assert_close(warped.sum((1, 2, 3)), image.sum((1, 2, 3)))
    assert not torch.equal(warped, image)
    mask = (image[:, :1] > 0).float()
    p, m = lesson.same_warp(torch.sigmoid(image[:, :1]), mask, rng(2))
    torch.testing.assert_close(lesson.soft_dice(p, m), lesson.soft_dice(torch.sigmoid(image[:, :1]), mask))


@pytest.fixture(scope="module")
def masks_by_rule():
    """The names of the cell that makes masks by a rule."""
    (source,) = (source for source in SOURCES if source.name.startswith("05"))
    namespace = functions(source, set())
    (cell,) = (cell for cell in notebook(source).cells if cell.source.startswith("def rule_mask"))
    exec(cell.source, namespace)
    return namespace


def test_a_mask_touches_the_edge_only_if_it_reaches_the_outermost_pixels(masks_by_rule):
    whole, one_off = np.zeros((28, 28), dtype=bool), np.zeros((28, 28), dtype=bool)
    whole[10:20, 8:17] = True
    one_off[1:-1, 1:-1] = True
    assert not masks_by_rule["touches_edge"](np.stack([whole, one_off, np.zeros_like(whole)])).any()
    for row, column in ((0, 14), (27, 3), (5, 0), (22, 27), (0, 0), (27, 27)):
        touching = whole.copy()
        touching[row, column] = True
        assert masks_by_rule["touches_edge"](np.stack([whole, touching])).tolist() == [False, True]


def test_the_dark_rim_of_a_picture_is_left_out_and_a_lesion_inside_it_is_not(masks_by_rule):
    down, across = np.mgrid[:28, :28]
    far = np.hypot(down - 13.5, across - 13.5)
    lesion = np.hypot(down - 12, across - 15) < 5
    rimmed = np.where(far > 14, 20, np.where(lesion, 150, 220))
    plain = np.where(lesion, 90, 220)
    masks = np.stack(
        [masks_by_rule["rule_mask"](np.repeat(x[..., None], 3, 2).astype(np.uint8)) for x in (rimmed, plain)]
    )
    assert masks_by_rule["touches_edge"](masks).tolist() == [True, False]
    assert (masks[1] & lesion).sum() > 0.9 * lesion.sum()


def test_the_unet_answers_pixel_by_pixel_and_its_skips_carry_detail():
    torch.manual_seed(0)
    for channels in (1, 3):
        model = UNet(channels).eval()
        x = torch.randn(2, channels, 28, 28)
        assert model(x).shape == (2, 1, 28, 28)
        assert num_parameters(model) < 40_000
        moved = x.clone()
        moved[:, :, 10, 10] += 10
        difference = (model(moved) - model(x)).abs().amax((0, 1))
        assert difference[10, 10] > 0 and difference[10, 10] > difference[0, 0]
    with pytest.raises(RuntimeError):
        UNet(3)(torch.zeros(2, 1, 28, 28))


# ------------------------------------------------------------------------------------------------------ Kvasir-SEG


@pytest.fixture
def kvasir(tmp_path):
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for i, name in enumerate(("b", "a")):
        picture = np.full((56, 84, 3), (200, 60, 20 + 100 * i), dtype=np.uint8)
        mask = np.zeros((56, 84), dtype=np.uint8)
        mask[:, : 42 * (i + 1)] = 255
        Image.fromarray(picture).save(tmp_path / "images" / f"{name}.jpg")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.jpg")
    return tmp_path


def test_kvasir_is_read_in_the_order_of_its_names(kvasir):
    images, masks = load_kvasir(kvasir)
    assert images.shape == (2, 28, 28, 3) and images.dtype == np.uint8
    assert masks.shape == (2, 28, 28) and masks.dtype == bool
    assert abs(int(images[0, 5, 5, 2]) - 120) < 8 and abs(int(images[1, 5, 5, 2]) - 20) < 8  # "a" comes first
    assert masks[0].all() and masks[1, :, :14].all() and not masks[1, :, 14:].any()


def test_kvasir_says_what_is_wrong_with_a_folder(kvasir):
    with pytest.raises(DataError, match=r"no \.jpg files in .*COURSE_KVASIR"):
        load_kvasir(kvasir / "nowhere")
    (kvasir / "images" / "c.jpg").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"no partner, the first is c\.jpg"):
        load_kvasir(kvasir)
    (kvasir / "masks" / "c.jpg").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"c\.jpg is no image"):
        load_kvasir(kvasir)
