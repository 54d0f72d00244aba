"""The methods that lesson 05 builds and does not train on images, and its baseline: run after it, with its functions, by `course benchmark`."""

# %% tags=["all-settings"]
baseline = train_baseline(dataset, label_split)
results.record("supervised", dataset, label_split, baseline, evaluation.evaluate(baseline.ema, dataset.test))

# %% tags=["all-settings"]
pairs = batches(label_split, weak, strong, batch_size=32, mu=1, seed=SEED)
pi_run = train(new_model(dataset, SEED), PiModel(), pairs, NUM_STEPS, label="Π-model")
results.record("Π-model", dataset, label_split, pi_run, evaluation.evaluate(pi_run.ema, dataset.test))

# %% tags=["all-settings"]
memory = TemporalEnsembling(len(label_split.images), dataset.num_classes)
# Its only view is the strong one; `batches` calls it x_w
stream = batches(label_split, strong, labelled_view=weak, batch_size=32, mu=1, seed=SEED)
te_run = train(new_model(dataset, SEED), memory, stream, NUM_STEPS, label="temporal ensembling")
results.record("temporal ensembling", dataset, label_split, te_run, evaluation.evaluate(te_run.ema, dataset.test))
