"""The fair opponent, the original recipe in full length, and the other suspects: run after lesson 08, with its functions, by `course benchmark`."""


# %% tags=["all-settings"]
def fair_loss(model, batch):
    """The supervised loss with the logit adjustment that MixMatch has."""
    return F.cross_entropy(model(batch.x_l) + ADJUST * LOG_FRACTIONS, batch.y_l), {}


labelled_batches = batches(label_split, weak, labelled_view=strong, batch_size=32, seed=SEED)
opponent = train(new_model(dataset, SEED), fair_loss, labelled_batches, NUM_STEPS, label=fair)
results.record(fair, dataset, label_split, opponent, evaluation.evaluate(opponent.ema, dataset.test))

# %%
full = "MixMatch, original recipe"
original = original_run(MixMatch(50.0, per_image=False), NUM_STEPS, label=full)
results.record(full, dataset, label_split, original, evaluation.evaluate(original.model, dataset.test))

# %%
# What is changed in the run as it was, and the number of views; each alone, and four together in case none is enough alone
QUARTER = SHORT_STEPS // 4
changes = {
    "K = 2": ({}, 2),
    "ramp": ({"ramp_steps": QUARTER}, 1),
    "λ per image": ({"per_image": True}, 1),
    "K, ramp, λ, EMA": ({"ramp_steps": QUARTER, "per_image": True}, 2),
    "logit adjustment": ({"adjust": 0.5}, 1),
    "T = 1": ({"T": 1.0}, 1),
    "λ_U 5": ({"lambda_u": 5.0}, 1),
    "λ_U 0": ({"lambda_u": 0.0}, 1),
}
for factor, (change, k) in changes.items():
    try_out(factor, change, k)

# %%
# The average of the weights needs no run of its own
averaged = evaluation.evaluate(short["as it was"].ema, dataset.test)
results.record(short_name("EMA"), dataset, label_split, short["as it was"], averaged)
