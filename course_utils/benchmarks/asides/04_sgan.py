"""The vanilla generator: run after lesson 04, with its functions, by `course benchmark`."""

# %%
name = "SGAN, vanilla generator"
vanilla_run = train(new_model(dataset, SEED), SGAN(vanilla), sgan_batches(), NUM_STEPS, label=name)
results.record(name, dataset, label_split, vanilla_run, evaluation.evaluate(vanilla_run.ema, dataset.test))
