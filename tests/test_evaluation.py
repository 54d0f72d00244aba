"""Metrics agree with the libraries and with hand-computed values; wrong input is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from course_utils import augment, evaluation, models
from course_utils.datasets import Split, to_tensor
from course_utils.evaluation import score


def split(labels) -> Split:
    labels = np.asarray(labels)
    return Split("test", np.zeros((len(labels), 28, 28, 1), np.uint8), labels)


def softmax(logits) -> np.ndarray:
    return torch.tensor(logits, dtype=torch.float64).softmax(1).numpy()


VECTOR = ([0, 0, 1, 1, 2, 2], [[5, 4, 0], [1, 0, 0], [6, 7, 0], [0, 1, 0], [0, 0, 1], [2, 2, 3]])


def test_auc_is_computed_on_probabilities():
    labels, logits = VECTOR
    assert score(softmax(logits), split(labels))["AUC"] == pytest.approx(1.0)


def test_auc_and_acc_agree_with_medmnists_evaluator(dermamnist, monkeypatch):
    import os

    from medmnist import Evaluator

    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2005, 7)) + 2 * np.eye(7)[dermamnist.test.labels]
    probabilities = softmax(logits)
    theirs = Evaluator(
        "dermamnist", "test", root=os.environ.get("COURSE_DATA") or os.path.expanduser("~/.medmnist")
    ).evaluate(probabilities)
    ours = score(probabilities, dermamnist.test)
    assert (ours["AUC"], ours["ACC"]) == pytest.approx((theirs[0], theirs[1]))


def test_the_constant_predictor_of_dermamnist(dermamnist):
    scores = evaluation.majority_scores(dermamnist, dermamnist.test)
    expected = {"AUC": 0.5, "ACC": 0.668828, "macro-F1": 0.114508, "weighted-F1": 0.536102, "balanced ACC": 0.142857}
    assert scores.values == pytest.approx(expected, abs=1e-6)
    assert scores.recall.tolist() == [0, 0, 0, 0, 0, 1, 0]


def test_metrics_by_hand():
    # confusion [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    pseudo_label = [0, 1, 1, 1, 0, 2]
    scores = score(np.eye(3)[pseudo_label], split([0, 0, 1, 1, 2, 2]))
    assert scores.confusion.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    assert scores.recall.tolist() == [0.5, 1.0, 0.5]
    assert scores["ACC"] == pytest.approx(4 / 6) and scores["balanced ACC"] == pytest.approx(2 / 3)
    assert scores["macro-F1"] == pytest.approx((1 / 2 + 4 / 5 + 2 / 3) / 3)


def test_the_table_always_has_the_constant_predictor(best_dataset):
    table = evaluation.score_table({}, best_dataset, best_dataset.test)
    assert list(table.columns) == ["AUC", "ACC", "macro-F1", "balanced ACC"] and table.index[0] == "majority class"
    answer = evaluation.majority_scores(best_dataset, best_dataset.test)
    some = evaluation.score_table({"same": answer}, best_dataset, best_dataset.test, ("weighted-F1", "ACC"))
    assert some.loc["same"].tolist() == [f"{answer['weighted-F1']:.2f}", f"{answer['ACC']:.2f}"]
    with pytest.raises(ValueError, match="there is no metric 'F1': metrics takes some of AUC, ACC"):
        evaluation.score_table({}, best_dataset, best_dataset.test, ("F1",))


def test_what_a_table_of_scores_holds_is_text():
    shown = evaluation.ScoreTable({"ACC": ["0.5", "n/a"], "note": ["<b>", ""]})._repr_html_()
    assert "<strong>0.5</strong>" in shown and "&lt;b&gt;" in shown


def test_predictions_in_another_order_are_refused():
    labels, logits = VECTOR
    order = np.array([3, 1, 2, 0, 5, 4])
    score(softmax(logits), split(labels), labels=np.array(labels)[:, None])
    with pytest.raises(ValueError, match="not in the order of the test split.*shuffle=False"):
        score(softmax(logits)[order], split(labels), labels=np.array(labels)[order])


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (VECTOR[1], "apply softmax"),
        (softmax(VECTOR[1])[:5], r"expected probabilities of shape \(6, classes\), but got \(5, 3\)"),
        (softmax(VECTOR[1])[:, 0], "expected probabilities of shape"),
        (softmax(VECTOR[1]) * np.nan, "no probabilities"),
    ],
)
def test_what_is_no_probability_is_refused(probabilities, message):
    with pytest.raises(ValueError, match=message):
        score(np.asarray(probabilities), split(VECTOR[0]))


def test_an_auc_that_does_not_exist_is_said():
    with pytest.raises(ValueError, match=r"no image of class \[2\]"):
        score(softmax(VECTOR[1])[:4], split([0, 0, 1, 1]))


def test_predict_keeps_the_order_and_the_mode(best_dataset):
    model = models.new_model(best_dataset).train()
    images = best_dataset.test.images[:70]
    p = evaluation.predict(model, images, batch_size=32)
    assert model.training and p.shape == (70, best_dataset.num_classes)
    one_by_one = np.concatenate([evaluation.predict(model, images[i : i + 1]) for i in range(70)])
    assert np.allclose(p, one_by_one, atol=1e-5)
    tensor = to_tensor(images)
    assert np.allclose(p, evaluation.predict(model.eval(), tensor), atol=1e-6) and not model.training


def test_predict_uses_no_batch_statistics():
    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1, 2)

        def forward(self, x):
            assert not self.training and not torch.is_grad_enabled() and x.dtype == torch.float32
            return self.layer(x.flatten(1)[:, :1])

    evaluation.predict(Spy(), np.zeros((3, 28, 28, 1), np.uint8))


def test_plain_is_what_predict_uses():
    images = torch.full((1, 1, 28, 28), 255, dtype=torch.uint8)
    assert torch.equal(augment.plain(images), torch.ones(1, 1, 28, 28))
