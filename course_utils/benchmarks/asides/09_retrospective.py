"""The committee, taken apart: run after lesson 09, with its functions and its three runs, by `course benchmark`, with all settings."""

# %% tags=["all-settings"]
import copy

STRENGTH = 0.25


class MeanTeacherLoss:
    """The mean teacher of lesson 05: weight 10, reached along its ramp; the teacher is the student's moving average."""

    def __init__(self):
        self.step, self.teacher = 0, None

    def __call__(self, model, batch):
        if self.teacher is None:
            self.teacher = copy.deepcopy(model)
        rate = 1 - min(1 - 1 / (self.step + 1), 0.99)
        with torch.no_grad():
            for slow, fast in zip(self.teacher.parameters(), model.parameters()):
                slow.lerp_(fast, rate)
            target = self.teacher(batch.x_w).softmax(1)
        logits = model(torch.cat([batch.x_l, batch.x_s]))
        logits_l, logits_s = logits.split([len(batch.x_l), len(batch.x_s)])
        weight = 10 * np.exp(-5 * (1 - min(1.0, self.step / (NUM_STEPS // 4))) ** 2)
        self.step += 1
        distance = F.mse_loss(logits_s.softmax(1), target)
        return F.cross_entropy(logits_l, batch.y_l) + weight * distance, {}


# %% tags=["all-settings"]
stream = batches(label_split, weak, strong, batch_size=32, mu=1, seed=SEED)
teacher_run = train(new_model(dataset, SEED), MeanTeacherLoss(), stream, NUM_STEPS, label="mean teacher")
different = {**runs, "mean teacher": teacher_run}
alike = {"supervised": runs["supervised"]}
for seed in (SEED + 1000, SEED + 2000, SEED + 3000):  # seeds that no label split has
    stream = batches(label_split, weak, labelled_view=strong, batch_size=32, seed=seed)
    name = f"supervised, seed {seed}"
    alike[name] = train(new_model(dataset, seed), supervised_loss, stream, NUM_STEPS, label=name)
trained = different | alike
answers = {name: evaluation.predict(run.ema, dataset.test.images) for name, run in trained.items()}

# %% tags=["all-settings"]
votes = {
    "committee": (list(different), STRENGTH),
    "committee, not adjusted": (list(different), 0.0),
    "four supervised networks": (list(alike), STRENGTH),
    "four supervised networks, not adjusted": (list(alike), 0.0),
}
for name in different:
    others = [other for other in different if other != name]
    votes[f"committee without {name}"] = (others, STRENGTH)
    votes[f"{name}, adjusted by a quarter"] = ([name], STRENGTH)
votes["mean teacher, student averaged"] = (["mean teacher"], 0.0)

# %% tags=["all-settings"]
for name, (members, strength) in votes.items():
    cost = {
        "seconds": sum(trained[member].seconds for member in members),
        "images_seen": sum(trained[member].images_seen for member in members),
    }
    voted = committee([answers[member] for member in members], fractions, strength)
    run = dataclasses.replace(trained[members[0]], **cost)
    results.record(name, dataset, label_split, run, evaluation.score(voted, dataset.test))
