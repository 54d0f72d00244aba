"""All rounds of self-training, a warm start and other thresholds: run after lesson 02, with its functions, by `course benchmark`."""

# %% tags=["all-settings"]
# On to round 5; what the lesson has trained already is not trained again
trained = {targets.numpy().tobytes(): run for run, targets in rounds}


def fit_or_remember(targets):
    return trained.get(targets.numpy().tobytes()) or fit(targets)


all_rounds = self_train(known, fit_or_remember, predict, TAU, 5)
for r, (run, _) in list(enumerate(all_rounds))[len(rounds) :]:
    run_scores = evaluation.evaluate(run.ema, dataset.test)
    results.record(f"self-training, round {r}", dataset, label_split, run, run_scores)

# %%
import copy


def warm_start(first_run, num_rounds, num_steps):
    """The same network trains on in each round, and a pseudo-label once given is never revised."""
    run, targets = first_run, known
    for r in range(1, num_rounds + 1):
        settled = (targets >= 0).nonzero().squeeze(1)
        targets = merge(targets, *select_confident(predict(run), settled, TAU))
        model = copy.deepcopy(run.model).train()  # goes on from the last weights
        run = train(model, supervised_loss, stream_of(targets), num_steps, label=f"warm start, round {r}")
    return run


warm = warm_start(baseline, 5, NUM_STEPS // 8)
warm_scores = evaluation.evaluate(warm.ema, dataset.test)
results.record("self-training, warm start", dataset, label_split, warm, warm_scores)

# %%
# One round each with the answers of the same baseline, in short runs; the baseline beside them is as short, and tau 0 believes everything
short = {"supervised": known}
for tau in (0.0, 0.5, 0.75, 0.95):
    short[f"one round, tau {tau:g}"] = merge(known, *select_confident(predict(baseline), label_split.labelled, tau))
for name, targets in short.items():
    run = fit(targets, num_steps=400, label=name)
    short_scores = evaluation.evaluate(run.ema, dataset.test)
    results.record(f"{name}, 400 steps", dataset, label_split, run, short_scores)
