"""Ablations of FixMatch, and the original notebook's recipe: run after lesson 06, with its functions, by `course benchmark`."""

# %%
rng = generator(SEED, "other views")


def pseudo_label_on_strong(model, batch):
    return fixmatch_loss(model, batch._replace(x_w=strong(label_split.images[batch.index], rng)))


def weak_only(model, batch):
    return fixmatch_loss(model, batch._replace(x_s=weak(label_split.images[batch.index], rng)))


def mean_over_kept(model, batch):
    with torch.no_grad():
        pseudo_label, mask = pseudo_label_and_mask(model(batch.x_w), tau=0.95)
    z_l, z_s = model(torch.cat((batch.x_l, batch.x_s))).tensor_split([len(batch.x_l)])
    losses = F.cross_entropy(z_s, pseudo_label, reduction="none")
    loss_u = (losses * mask).sum() / mask.sum().clamp(min=1)
    return F.cross_entropy(z_l, batch.y_l) + loss_u, {"mask": mask.mean().item()}


# %%
# Short trainings, each to be compared with a FixMatch and a baseline that are as short. The supervised line keeps the recipe that
# suits it best, strong views of its labelled images.
ablations = {
    "supervised": supervised_loss,
    "FixMatch": fixmatch_loss,
    "tau .8": lambda model, batch: fixmatch_loss(model, batch, tau=0.8),
    "tau 0": lambda model, batch: fixmatch_loss(model, batch, tau=0.0),
    "pseudo-label on strong": pseudo_label_on_strong,
    "weak only": weak_only,
    "mean over kept": mean_over_kept,
}
for name, loss in ablations.items():
    if name == "supervised":
        stream = batches(label_split, weak, labelled_view=strong, batch_size=32, seed=SEED)
    else:
        stream = batches(label_split, weak, strong, batch_size=32, mu=2, seed=SEED)
    short = train(new_model(dataset, SEED), loss, stream, 400, label=name)
    results.record(f"{name}, 400 steps", dataset, label_split, short, evaluation.evaluate(short.ema, dataset.test))


# %%
def original_loss(model, batch):
    loss_l = F.cross_entropy(model(batch.x_l), batch.y_l)  # three passes, three statistics
    with torch.no_grad():
        pseudo_label, mask = pseudo_label_and_mask(model(batch.x_w), tau=0.95)
    return loss_l + unlabelled_loss(model(batch.x_s), pseudo_label, mask), {"mask": mask.mean().item()}


# %%
a_weak, a_strong = augment.original_weak, augment.original_strong
stream = batches(label_split, a_weak, a_strong, labelled_view=a_strong, batch_size=16, mu=4, seed=SEED)
options = {"schedule": lambda step, num_steps: 1.0, "weight_decay": 0.0, "label": "the original FixMatch"}
original = train(new_model(dataset, SEED), original_loss, stream, NUM_STEPS, **options)
original_scores = evaluation.evaluate(original.model, dataset.test)  # its last weights: it keeps no average
results.record("FixMatch, original recipe", dataset, label_split, original, original_scores)
