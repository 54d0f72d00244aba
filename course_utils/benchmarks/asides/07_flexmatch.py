"""The two repairs in training, SoftMatch, FreeMatch, and the original notebook's rule: run after lesson 07, with its functions, by `course benchmark`."""

# %% tags=["all-settings"]
prior_on_device = prior.to(DEVICE)
fit("FlexMatch, status by prior", FlexMatch(lambda memory: status_by_prior(memory, prior_on_device), num_images))


# %% tags=["all-settings"]
class AlignedFixMatch:
    """FixMatch with aligned pseudo-labels and its one threshold; ReMixMatch averages the last 128 batches, this about as many."""

    def __init__(self, prior, tau=0.95):
        self.prior, self.average, self.tau = prior, prior.clone(), tau

    def __call__(self, model, batch):
        with torch.no_grad():
            q = model(batch.x_w).softmax(dim=1)
        self.average.lerp_(q.mean(dim=0), 0.01)
        confidence, pseudo_label = align(q, self.prior, self.average).max(dim=1)
        mask = (confidence >= self.tau).float()
        together = model(torch.cat([batch.x_l, batch.x_s]))
        z_l, z_s = together.tensor_split([len(batch.x_l)])
        loss = F.cross_entropy(z_l, batch.y_l) + masked_loss(z_s, pseudo_label, mask)
        return loss, {"mask": mask.mean().item()}


fit("FixMatch, distribution alignment", AlignedFixMatch(prior_on_device))

# %%
fit("SoftMatch", SoftMatch(torch.full((num_classes,), 1 / num_classes, device=DEVICE)))


# %%
class FreeMatch:
    """A threshold for each class from running averages (Wang et al. 2023, section 4).

    Without the paper's fairness term, as it was chosen inside the labels; with it, see `recipes/lesson07.py`.
    """

    def __init__(self, num_classes, decay=0.99):
        self.decay, self.tau = decay, 1 / num_classes
        self.average = torch.full((num_classes,), 1 / num_classes, device=DEVICE)

    def __call__(self, model, batch):
        with torch.no_grad():
            q = model(batch.x_w).softmax(dim=1)
        confidence, pseudo_label = q.max(dim=1)
        self.tau = self.decay * self.tau + (1 - self.decay) * confidence.mean().item()
        self.average.lerp_(q.mean(dim=0), 1 - self.decay)
        thresholds = self.tau * self.average / self.average.max()
        mask = (confidence >= thresholds[pseudo_label]).float()
        z_l, z_s = model(torch.cat([batch.x_l, batch.x_s])).tensor_split([len(batch.x_l)])
        loss = F.cross_entropy(z_l, batch.y_l) + masked_loss(z_s, pseudo_label, mask)
        return loss, {"mask": mask.mean().item()}


fit("FreeMatch", FreeMatch(num_classes))


# %%
class OriginalFlexMatch:
    """The original notebook's: three passes, and the rule reversed."""

    def __init__(self, num_classes):
        self.average = torch.full((num_classes,), 0.7, device=DEVICE)

    def __call__(self, model, batch):
        loss_l = F.cross_entropy(model(batch.x_l), batch.y_l)
        with torch.no_grad():
            confidence, pseudo_label = confident_pseudo_label(model(batch.x_w))
        for c in pseudo_label.unique():
            self.average[c] = 0.9 * self.average[c] + 0.1 * confidence[pseudo_label == c].mean()
        mask = (confidence >= original_thresholds(self.average)[pseudo_label]).float()
        return loss_l + masked_loss(model(batch.x_s), pseudo_label, mask), {"mask": mask.mean().item()}


# %%
a_weak, a_strong = augment.original_weak, augment.original_strong
stream = batches(label_split, a_weak, a_strong, labelled_view=a_strong, batch_size=16, mu=4, seed=SEED)
options = {"schedule": lambda step, num_steps: 1.0, "weight_decay": 0.0, "label": "the original FlexMatch"}
original = train(new_model(dataset, SEED), OriginalFlexMatch(num_classes), stream, NUM_STEPS, **options)
original_scores = evaluation.evaluate(original.model, dataset.test)  # its last weights: it keeps no average
results.record("FlexMatch, original recipe", dataset, label_split, original, original_scores)
