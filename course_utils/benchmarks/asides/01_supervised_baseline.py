"""The second baseline, the original notebook's recipe and more or fewer labels: run after lesson 01, with its functions, by `course benchmark`."""


# %% tags=["all-settings"]
def fit(label_split, loss, num_steps, batch_size=32):
    stream = batches(label_split, weak, labelled_view=strong, batch_size=batch_size, seed=SEED)
    return train(models.new_model(dataset, SEED), loss, stream, num_steps)


def shifted(probabilities, strength):
    logits = torch.from_numpy(probabilities).log() + strength * prior.log()
    return evaluation.score(logits.softmax(1).numpy(), dataset.test)


# %% tags=["all-settings"]
# As much work as FixMatch does, with the labelled images alone; and the same run at another operating point, which lesson 09 uses
wide_run = fit(label_split, supervised_loss, num_steps=NUM_STEPS, batch_size=160)
wide = evaluation.evaluate(wide_run.ema, dataset.test)
results.record("supervised, batches of 160", dataset, label_split, wide_run, wide)
quarter = shifted(evaluation.predict(wide_run.ema, dataset.test.images), -0.25)
results.record("supervised, batches of 160, adjusted by a quarter", dataset, label_split, wide_run, quarter)


# %%
def original_run(label_split, num_steps):
    a_weak, a_strong = augment.original_weak, augment.original_strong
    stream = batches(label_split, a_weak, labelled_view=a_strong, batch_size=16, seed=SEED)
    options = {"schedule": lambda step, n: 1.0, "weight_decay": 0}
    return train(models.new_model(dataset, SEED), supervised_loss, stream, num_steps, **options)


# %%
plan = {
    "supervised, original 350 balanced": (split_labels(dataset, 350, SEED, "balanced"), 220),
    "supervised, original recipe": (label_split, NUM_STEPS),
}
for name, (labelled, num_steps) in plan.items():
    old = original_run(labelled, num_steps)
    results.record(name, dataset, labelled, old, evaluation.evaluate(old.model, dataset.test))  # it keeps no average

# %%
# The learning curve, in short runs and one of full length
ladder = {n: split_labels(dataset, n, SEED) for n in (50, 100, 200, 500, 1000, 2000)}
for n, few in ladder.items():
    short = fit(few, supervised_loss, num_steps=500)
    short_scores = evaluation.evaluate(short.ema, dataset.test)
    results.record(f"supervised, {n} labels, 500 steps", dataset, few, short, short_scores)
long = fit(ladder[2000], supervised_loss, num_steps=NUM_STEPS)
results.record("supervised, 2000 labels", dataset, ladder[2000], long, evaluation.evaluate(long.ema, dataset.test))
