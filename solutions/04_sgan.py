# %% [markdown]
# # 04 · SGAN
#
# A generator invents pictures of skin lesions. A classifier learns to tell them from real ones. To do so it has to look closely at real
# images, and of those it has thousands without a label. Does knowing what is real help it to know what is what?
#
# ![SGAN. A generator makes fakes of noise. The discriminator is the classifier: it gives labelled images, unlabelled images and fakes K class logits each; the logit of fake is fixed at 0. Its loss has three parts: labelled images belong to their class, unlabelled ones are real, fakes are not. The generator learns by feature matching: the mean features of its fakes are to be those of the unlabelled images.](../docs/figures/sgan.svg)
#
# **Time** 80 min, of which the computer trains for 2
#
# **You need** lessons 00 and 01 (the metrics, the label split, the supervised baseline)
#
# **Objectives**
#
# - **4a** Read "is it real?" out of a classifier's logits, in a form that never overflows.
# - **4b** Write the losses on real, generated and labelled images, and say where no gradient may pass.
# - **4c** Train a generator by feature matching, without touching the discriminator.
# - **4d** Measure whether a generator has collapsed, and tell beautiful images from a better classifier.

# %% tags=["setup"]
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from course_utils import augment, evaluation, playground, plots, results
from course_utils.batches import batches, generator
from course_utils.check import borrow, check, progress, reveal
from course_utils.datasets import load_dataset
from course_utils.device import DEVICE
from course_utils.labels import split_labels
from course_utils.models import Generator, new_model
from course_utils.settings import NUM_LABELS, NUM_STEPS, SEED
from course_utils.training import supervised_loss, train

# %% [markdown]
# ## 1 · See it first
#
# Two moons, three labels in each. This is what a network makes of the labels alone:

# %% tags=["nbval-ignore-output"]
playground.watch(supervised_loss, title="Labels alone")

# %% [markdown]
# Now let it play. A second network, the generator, makes points of its own: the diamonds. The first network still learns the six labels,
# but it also learns to call every dot real and every diamond fake.
#
# ![A strip of four pictures of two moons at steps 0, 25, 100 and 400, trained by SGAN: generated points, drawn as diamonds, start as a small heap and spread over and around the moons, while the boundary moves until it runs between the moons, and nearly every point has the colour of its moon.](../docs/figures/strip_sgan.png)
#
# To tell dots from diamonds the network has to know where the dots are, and where they are not. The gap between the moons is such a place.
# By the end of section 6 **your own functions** draw this picture.

# %% [markdown]
# ## 2 · Real or not: it is in the logits already
#
# A **generative adversarial network** (GAN) is a game of two. The *generator* $G$ makes images from noise $z$. The *discriminator* $D$ says
# how probable it is that an image is real. In the semi-supervised GAN ([Salimans et al. 2016](https://arxiv.org/abs/1606.03498),
# section 5) the discriminator **is the classifier**: besides the $K$ real classes it knows one more answer, *fake*.
#
# That would take $K + 1$ logits. But a softmax doesn't change when you add a constant to all its logits, so one of them can be fixed. Fix
# the logit of *fake* at 0 and keep the $K$ others:
#
# $$D(x) = \frac{Z(x)}{Z(x) + 1}, \qquad Z(x) = \sum_{k=1}^{K} e^{l_k(x)}.$$
#
# Three logits for one real image, with the fixed 0 glued on as a fourth:

# %%
logits = torch.tensor([[1.0, 2.0, 0.5]])
with_fake = F.pad(logits, (0, 1))
print("softmax over K + 1:", [round(p, 4) for p in with_fake.softmax(1)[0].tolist()])
print("the K real classes together:", round(with_fake.softmax(1)[0, :3].sum().item(), 4))

# %% [markdown]
# So an ordinary classifier says all we need, and nothing is added to the network. One flaw: for a logit of `120` the exponential is too
# large for a float, and logits do grow in a GAN. The cure is to stay with $\log Z = \mathrm{logsumexp}(l)$, which takes the largest logit
# out before the exponential:

# %%
large = torch.tensor([[120.0, 0.0, 0.0]])
print("Z:", large.exp().sum(1).item(), "  log Z:", large.logsumexp(1).item())

# %% [markdown]
# ### Exercise 4.1 · How real?
#
# 8 min · difficulty 2/5 · objective 4a
#
# From `logits` (B, num_classes) return $D = Z / (Z + 1)$ of each image, a float tensor (B,). It must be right for any
# finite logits: 1 for a logit of `120` or `1000`, 0 where all logits are `-120`, never nan.
#
# <details><summary>Hint 1 (direction)</summary>Divide numerator and denominator by Z. With log Z in your hands, this is a
# function of one number that you know from two-class problems.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>logits.logsumexp(dim=1)</code>, then
# <code>torch.sigmoid</code>.</details>


# %% tags=["exercise", "ex-4.1"]
def probability_real(logits: torch.Tensor) -> torch.Tensor:
    """D(x) of a classifier whose fake logit is fixed at 0 (Salimans et al. 2016, section 5).

    logits: (B, num_classes)
    returns: (B,) float in [0, 1]
    """
    ### BEGIN SOLUTION
    return logits.logsumexp(dim=1).sigmoid()
    ### END SOLUTION


# %% tags=["check", "ex-4.1"]
check("4.1", probability_real)

# %% [markdown]
# One network, two answers. Raise or lower all three logits together and see which answer notices:

# %% tags=["figure"]
rise = torch.linspace(-6, 6, 49)
moved = logits + rise[:, None]
figure, ax = plots.plt.subplots(figsize=(7, 2.8))
ax.plot(rise, probability_real(moved), label="D, by your function", markevery=8)
ax.plot(rise, moved.softmax(1)[:, 1], label="softmax of class 1", markevery=8)
ax.set(
    xlabel="added to all three logits",
    ylabel="probability",
    ylim=(0, 1.05),
    title="Which class is in the differences of the logits, how real in their height",
)
plots.label_ends(ax)
plots.show(
    figure,
    "Two lines against what is added to all three logits. The softmax probability of class 1 is flat. D is an S-shaped curve that "
    "rises from near 0 to 1.",
)

# %% [markdown]
# To be called fake, an image must get *no* high logit. It belongs to no class. That is the bond between the two tasks.

# %% [markdown]
# ## 3 · Two losses without a label
#
# An unlabelled image is real, whatever its class: $D$ should be 1. A generated one is fake: $D$ should be 0. So
#
# $$\mathcal{L}_{\mathrm{real}} = -\frac{1}{B} \sum_b \log D(u_b), \qquad
# \mathcal{L}_{\mathrm{fake}} = -\frac{1}{B} \sum_b \log\left(1 - D(G(z_b))\right).$$
#
# The logarithm of a $D$ that was rounded to 0 or 1 is infinite. With $s = \log Z$ both are one function that stays exact,
# $\mathrm{softplus}(s) = \log(1 + e^s)$: $-\log D = \mathrm{softplus}(-s)$ and $-\log(1 - D) = \mathrm{softplus}(s)$.

# %%
for s in torch.tensor([2.46, 20.0, 120.0]):
    print(f"log Z {s:6.2f}: -log(1 - D) {-(1 - s.sigmoid()).log():6.2f}, softplus {F.softplus(s):6.2f}")

# %% [markdown]
# ### Exercise 4.2 · The losses on real and on generated images
#
# 10 min · difficulty 2/5 · objective 4b
#
# From the logits on real images, `logits_real` (B_r, num_classes), and on generated ones, `logits_fake` (B_f, num_classes),
# return `(loss_real, loss_fake)`: $\mathcal{L}_{\mathrm{real}}$ and $\mathcal{L}_{\mathrm{fake}}$, two scalar tensors, each a mean over
# its own batch, without further weights. Both, and their gradients, must be finite and exact for any finite logits, be they `±300`.
#
# <details><summary>Hint 1 (direction)</summary>One number per image first: log Z. Then the function of the text,
# once with a minus sign inside. The mean comes last.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>logsumexp(dim=1)</code>, <code>F.softplus</code>,
# <code>.mean()</code>.</details>


# %% tags=["exercise", "ex-4.2"]
def real_fake_losses(logits_real: torch.Tensor, logits_fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """-log D on real and -log(1 - D) on generated images (Salimans et al. 2016, section 5).

    logits_real: (B_r, num_classes), logits_fake: (B_f, num_classes)
    returns: loss_real, loss_fake, two scalars
    """
    ### BEGIN SOLUTION
    loss_real = F.softplus(-logits_real.logsumexp(dim=1)).mean()
    loss_fake = F.softplus(logits_fake.logsumexp(dim=1)).mean()
    return loss_real, loss_fake
    ### END SOLUTION


# %% tags=["check", "ex-4.2"]
check("4.2", real_fake_losses)

# %% [markdown]
# ## 4 · The discriminator's loss
#
# Labelled images get the ordinary cross-entropy over the $K$ classes. All together, with the halves of the authors' code:
#
# $$\mathcal{L} = \mathcal{L}_{\mathrm{labelled}}
# + \tfrac{1}{2}\left(\mathcal{L}_{\mathrm{real}} + \mathcal{L}_{\mathrm{fake}}\right).$$
#
# Here is a trap. The labelled loss asks: *given that the image is real*, which class? Take the cross-entropy over all $K + 1$ answers, as
# the original notebook does, and it also asks how real the image is. Raise all class logits, and one of the two losses falls:

# %%
y = torch.tensor([1])
for rise in (0.0, 1.0, 2.0):
    over_classes = F.cross_entropy(logits + rise, y)
    over_all = F.cross_entropy(F.pad(logits + rise, (0, 1)), y)
    print(f"logits + {rise:g}: over K classes {over_classes:.4f}, over K + 1 answers {over_all:.4f}")

# %% [markdown]
# The second can be lowered without learning anything about the classes.
#
# Two more decisions stand in no formula:
#
# - **Gradients.** The discriminator learns to tell the fakes, not to change them. So **detach** them.
# - **BatchNorm** normalises whatever passes *together*. In a shared pass, fakes that are a little too dark would all lie on one side of the
#   common mean, and $D$ would need to see no more. So the real images, labelled and unlabelled, go through in one pass and **the fakes in a
#   pass of their own**. (We compared both on one label split, which is too few to decide.)

# %% [markdown]
# ### Exercise 4.3 · The discriminator's loss
#
# 18 min · difficulty 3/5 · objective 4b
#
# Return `(loss, logs)`: the loss $\mathcal{L}$ above, a scalar tensor, and `logs = {"real": ..., "fake": ...}`, the mean of $D$ over `x_u`
# and over `fakes`, two numbers without gradient. Call `model` twice: on `x_l` and `x_u` glued together, in either order, and on the fakes.
# No gradient may reach `fakes`, which stay as they are. Leave `eval()`, `train()`, `zero_grad()` and `backward()` to the training loop.
#
# <details><summary>Hint 1 (direction)</summary>Glue, one pass, cut again behind the labelled images; a second pass for the
# detached fakes. The cross-entropy takes the labelled logits only, the losses of Exercise 4.2 the other two.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>torch.cat</code>, slices <code>[:n]</code> and
# <code>[n:]</code> with <code>n = len(x_l)</code>, <code>fakes.detach()</code>, and
# <code>probability_real(...).mean().item()</code> for the logs.</details>


# %% tags=["exercise", "ex-4.3"]
def discriminator_loss(
    model, x_l: torch.Tensor, y_l: torch.Tensor, x_u: torch.Tensor, fakes: torch.Tensor
) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss of an SGAN's discriminator (Salimans et al. 2016, section 5; weights of the authors' code).

    model: maps images to logits
    x_l: (B, C, H, W), y_l: (B,) int64, x_u: (B_u, C, H, W), fakes: (B_f, C, H, W)
    returns: scalar loss, {"real": mean D of x_u, "fake": mean D of the fakes}, two numbers
    """
    ### BEGIN SOLUTION
    n = len(x_l)
    logits = model(torch.cat([x_l, x_u]))
    logits_fake = model(fakes.detach())
    loss_real, loss_fake = real_fake_losses(logits[n:], logits_fake)
    loss = F.cross_entropy(logits[:n], y_l) + 0.5 * (loss_real + loss_fake)
    real, fake = probability_real(logits[n:]).mean(), probability_real(logits_fake).mean()
    return loss, {"real": real.item(), "fake": fake.item()}
    ### END SOLUTION


# %% tags=["check", "ex-4.3"]
check("4.3", discriminator_loss)

# %% [markdown]
# ## 5 · What the generator aims at
#
# The obvious aim is $D = 1$. Minimising $-\log D(G(z))$ is the **vanilla** loss (also called *non-saturating*). Salimans et al. found
# another aim better for semi-supervised learning, **feature matching**: let the fakes have the same *average features* as the real images.
# With $f$ the layer before the logits,
#
# $$\mathcal{L}_G = \left\lVert \frac{1}{B} \sum_b f(u_b) - \frac{1}{B} \sum_b f(G(z_b)) \right\rVert_2^2.$$
#
# First the means, then the difference. Two real and two generated images with two features each:

# %%
real, fake = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[2.0, 2.0], [0.0, 2.0]])
print("means:", real.mean(0).tolist(), fake.mean(0).tolist())
print("difference of the means:", (real.mean(0) - fake.mean(0)).tolist())
print("differences image by image:", (real - fake).tolist())

# %% [markdown]
# Image by image would be wrong: the first fake is not meant to be the first real image. Shuffling the fakes must change nothing.

# %% [markdown]
# ### Exercise 4.4 · Feature matching
#
# 6 min · difficulty 2/5 · objective 4c
#
# Given `features_real` (B_r, n) and `features_fake` (B_f, n), where the two batches may differ in size, return $\mathcal{L}_G$, a
# scalar tensor: the difference of the two means, squared and summed over the n features. Its gradient reaches `features_fake`.
#
# <details><summary>Hint 1 (direction)</summary>Two vectors of n means, their difference, its squares, their
# sum.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>.mean(dim=0)</code> is the mean over the batch;
# <code>.square().sum()</code>.</details>


# %% tags=["exercise", "ex-4.4"]
def feature_matching(features_real: torch.Tensor, features_fake: torch.Tensor) -> torch.Tensor:
    """The generator's loss (Salimans et al. 2016, section 3.1).

    features_real: (B_r, n), features_fake: (B_f, n)
    returns: scalar
    """
    ### BEGIN SOLUTION
    difference = features_real.mean(dim=0) - features_fake.mean(dim=0)
    return difference.square().sum()
    ### END SOLUTION


# %% tags=["check", "ex-4.4"]
check("4.4", feature_matching)

# %% [markdown]
# ## 6 · The generator's step
#
# The generator has an optimiser of its own. Its loss goes *through* the discriminator, so `loss.backward()` would leave gradients in the
# discriminator's weights, too. They are not wanted there: what makes fakes look real is not what the discriminator should learn.
#
# `backward(inputs=[...])` writes gradients into the tensors that it names, and into no others. Here it names `x`, and the judge gets none:

# %%
judge, x = nn.Linear(2, 3), torch.ones(1, 2, requires_grad=True)
loss = judge(x).sum()
loss.backward(retain_graph=True)
print("backward(): gradient in the judge?", judge.weight.grad is not None)
judge.zero_grad()
loss.backward(inputs=[x])
print("backward(inputs=[x]): gradient in the judge?", judge.weight.grad is not None)

# %% [markdown]
# ### Exercise 4.5 · One step of the generator
#
# 15 min · difficulty 3/5 · objective 4c
#
# Draw fakes once, `painter(z)`, and lower `objective(features_real, features_fake)` by **one** step of `optimizer_g`, which holds all
# parameters of `painter`; old gradients do not count. Return the objective before the step, a number without gradient. Features come from
# `model.features`, one pass for `x_u` and one for the fakes. The model's weights, their `.grad` and `requires_grad` end **as they began**.
# Call neither `eval()` nor `train()` of either network.
#
# <details><summary>Hint 1 (direction)</summary>Fakes, two passes (the real images need no gradient), the objective; then
# the three usual lines of a training step, with the backward pass limited to the generator.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>with torch.no_grad():</code> for the real images,
# <code>optimizer_g.zero_grad()</code>, <code>backward(inputs=list(...))</code> with the generator's parameters,
# <code>optimizer_g.step()</code>, <code>.item()</code>.</details>


# %% tags=["exercise", "ex-4.5"]
def generator_step(model, painter, optimizer_g, x_u, z, objective) -> float:
    """One step of the generator against a discriminator whose weights stay as they are.

    model: has `features`, images to (B, n); painter: the generator, noise to images; optimizer_g: of its parameters
    x_u: (B_u, C, H, W) real images, z: (B_f, noise_size), objective(features_real, features_fake): scalar to minimise
    returns: the objective before the step, a number
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        features_real = model.features(x_u)
    loss = objective(features_real, model.features(painter(z)))
    optimizer_g.zero_grad()
    loss.backward(inputs=list(painter.parameters()))
    optimizer_g.step()
    return loss.item()
    ### END SOLUTION


# %% tags=["check", "ex-4.5"]
check("4.5", generator_step)

# %% [markdown]
# Let them play. Two tiny networks, your three functions:

# %% tags=["nbval-ignore-output"]
playground.watch_gan(discriminator_loss, generator_step, feature_matching, title="Your SGAN")

# %% [markdown]
# Watch the diamonds chase the dots and overshoot into the gap. There the network has to say *fake*, which means low logits for both classes,
# and there the boundary settles. Then add `seed=2`: other points, other labels. A game of two networks is not always won.

# %% [markdown]
# ## 7 · Has it collapsed?
#
# A generator can win in a cheap way: find *one* image that passes, and make it again and again. This is **mode collapse**. You can see it
# in the images, but only if you look. A number is better. How far apart are two fakes on average, compared with two real images?
#
# $$\mathrm{diversity} = \frac{\text{mean distance between two different fakes}}
# {\text{mean distance between two different real images}}.$$
#
# About 1 is what we want; 0 means that all fakes are one image.

# %% [markdown]
# ### Exercise 4.6 · Diversity
#
# 10 min · difficulty 2/5 · objective 4d
#
# Given `fakes` (N, C, H, W) and `reals` (M, C, H, W), N and M at least 2, both without gradient, return their diversity, a number. The
# distance of two images is the Euclidean one, over all their pixels and channels at once. Each mean runs over all pairs of two
# **different** positions in its batch: an image is not compared with itself, and two equal images count, with distance 0.
#
# <details><summary>Hint 1 (direction)</summary>Make each image one long row first. If you compute the distances of all
# with all, the diagonal is zero and does not count.</details>
#
# <details><summary>Hint 2 (which function)</summary><code>.flatten(1)</code>, then <code>torch.pdist</code>, which returns
# the distance of each pair once.</details>


# %% tags=["exercise", "ex-4.6"]
def diversity(fakes: torch.Tensor, reals: torch.Tensor) -> float:
    """Mean distance between fakes, relative to the mean distance between real images.

    fakes: (N, C, H, W), reals: (M, C, H, W)
    returns: a number, 0 if all fakes are equal
    """
    ### BEGIN SOLUTION
    between_fakes, between_reals = torch.pdist(fakes.flatten(1)), torch.pdist(reals.flatten(1))
    return (between_fakes.mean() / between_reals.mean()).item()
    ### END SOLUTION


# %% tags=["check", "ex-4.6"]
check("4.6", diversity)

# %% tags=["dataset"]
dataset = load_dataset()
label_split = split_labels(dataset, NUM_LABELS, SEED)
some = torch.randperm(len(label_split.images), generator=generator(SEED, "images to compare with"))[:64]
reals = augment.plain(label_split.images[some])
noise = torch.rand(reals.shape, generator=generator(SEED, "grey noise")).to(DEVICE) * 2 - 1
for name, images in {
    "real images": reals,
    "one image, 64 times": reals[:1].expand(64, -1, -1, -1),
    "noise": noise,
}.items():
    print(f"{name}: {float(diversity(images, reals)):.2f}")

# %% [markdown]
# The number finds a collapse. It doesn't find everything: noise is diverse, too. A low value is an alarm, a value near 1 no proof of
# quality.

# %% [markdown]
# ## 8 · On the lesions
#
# Where does the generator live? `train` asks for a function of the model and the batch. An object that can be called will do, and it can
# *remember* the generator, its optimiser and the steps. Before every second loss it lets the generator take one step.


# %%
def new_generator():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return Generator(dataset.channels).to(DEVICE)


class SGAN:
    """The discriminator's loss for `train`; it owns the generator. Make a new one for each run."""

    def __init__(self, aim=None):
        self.generator, self.aim, self.step = new_generator(), aim, 0
        self.optimizer = torch.optim.Adam(self.generator.parameters(), lr=0.002, betas=(0.5, 0.999))
        self.rng = generator(SEED, "noise")

    def noise(self, n):
        return torch.randn(n, self.generator.noise_size, generator=self.rng).to(DEVICE)

    def __call__(self, model, batch):
        n = len(batch.x_w)
        objective = feature_matching if self.aim is None else partial(self.aim, model)
        if self.step % 2 == 0:
            generator_step(model, self.generator, self.optimizer, batch.x_w, self.noise(n), objective)
        self.step += 1
        with torch.no_grad():
            fakes = self.generator(self.noise(n))
        return discriminator_loss(model, batch.x_l, batch.y_l, batch.x_w, fakes)


# %% [markdown]
# To watch it learn, we keep what it makes of the same noise, every 50 steps:

# %%
LOOK_NOISE = torch.randn(64, 64, generator=generator(SEED, "noise to look at")).to(DEVICE)


def album(sgan):
    """`on_step` for train, and the pages that it fills: step -> 64 images."""
    pages = {}

    @torch.no_grad()
    def look(step, model):
        if step == 0 or (step + 1) % 50 == 0:
            sgan.generator.eval()  # its BatchNorm uses the running averages: no image depends on the others
            pages[step + 1] = sgan.generator(LOOK_NOISE)
            sgan.generator.train()

    return look, pages


# %% [markdown]
# The recipe is that of lesson 01. Some things differ from the paper, because a CPU should do it in two minutes:
#
# | | paper and its code (CIFAR-10) | here |
# |---|---|---|
# | discriminator | nine layers, weight normalisation, dropout | SimpleCNN with BatchNorm, as in all lessons |
# | steps | `1200` passes over the data | `1600` steps |
# | batch | `100` labelled, `100` unlabelled, `100` fakes | `32` of each |
# | generator's steps | one a step | one every second step |
# | optimiser | Adam, `.0003`, $\beta_1 = .5$ for both | as in lesson 01; generator Adam, `.002`, $\beta_1 = .5$ |
# | feature matching | squared length (paper), mean of absolute values (code) | squared length |

# %% tags=["nbval-ignore-output"]
weak, strong = augment.views(dataset)


def sgan_batches():
    return batches(label_split, weak, labelled_view=strong, batch_size=32, mu=1, seed=SEED)


sgan = SGAN()
look, pages = album(sgan)
run = train(new_model(dataset, SEED), sgan, sgan_batches(), NUM_STEPS, on_step=look, label="SGAN")
print(f"{run.steps_done} steps, {run.images_seen:,} real images, {run.seconds:.0f} s")

# %% [markdown]
# What did the generator draw? Each row is a moment of the training, each column the same noise.

# %% tags=["nbval-ignore-output", "figure"]
moments = [step for step in (1, 100, 200, 400, 800, NUM_STEPS) if step in pages]
plots.show(
    plots.image_grid(
        [*(pages[step][:10] for step in moments), reals[:10]],
        [*(f"step {step}" for step in moments), "real"],
        scale=0.75,
        title="What the generator draws from the same ten noises as it learns",
    ),
    "Rows of ten generated images at steps 1, 100, 200, 400, 800 and 1600, above a row of real ones. They begin as grey noise, "
    "become coloured spots within a hundred steps, and at the end are blurred spots on skin, each of them different.",
)

# %% [markdown]
# Out of `64` random numbers and a comparison of averages came pictures! And your `diversity` of them?

# %% tags=["nbval-ignore-output"]
print(f"diversity at the end: {diversity(pages[max(pages)], reals):.2f}")

# %% [markdown]
# Nobody told the generator what a lesion is. All it knows came through the features of a small classifier. Does that classifier fall for its
# images?

# %% tags=["nbval-ignore-output", "figure"]
called_real = {"SGAN, real images": run.curves["real"], "SGAN, generated images": run.curves["fake"]}
plots.show(
    plots.curves(
        called_real, "mean of D", window=25, title="How real the discriminator calls both kinds of images", ylim=(0, 1)
    ),
    "The discriminator's mean belief that an image is real, against the step: one line for real unlabelled images, which stays "
    "high, and one for generated images, which falls towards zero.",
)

# %% [markdown]
# Where the two lines are far apart, hardly ever. That does no harm: feature matching doesn't need to fool anybody. What counts is the
# classifier:

# %% tags=["nbval-ignore-output"]
scores = evaluation.evaluate(run.ema, dataset.test)
results.record("SGAN", dataset, label_split, run, scores)
evaluation.score_table({"SGAN": scores}, dataset, dataset.test)

# %% tags=["dataset"]
for metric in ("AUC", "ACC", "macro-F1", "balanced ACC"):
    print(results.within("SGAN", metric, scores[metric], dataset))

# %% [markdown]
# ### Beautiful images, better classifier?
#
# Suppose the generator aims at $D = 1$ instead and comes closer to perfection. Is it the better teacher? [Dai et al.
# 2017](https://arxiv.org/abs/1705.09783) argue that it isn't. A *perfect* generator draws images like the real ones. The classifier has
# enough of those, and now it is told to call them fake. A useful generator is an imperfect one: its fakes lie *between* the classes, where
# no real image is, and push the border there. Five label splits, each paired with the supervised baseline on the same labels:

# %% tags=["dataset"]
reference = results.reference(dataset)
plots.show_gains(reference, ["SGAN", "SGAN, vanilla generator"], ("AUC", "macro-F1"))

# %% tags=["dataset"]
for method, found in results.paired(reference).items():
    if method.startswith("SGAN"):
        print(f"{method}, macro-F1: {found.gained} (standard error), {found.won} label splits won")

# %% [markdown]
# All numbers: [results on the lesions](../docs/results/dermamnist.md) and [on the digits](../docs/results/digits.md).

# %% [markdown]
# ## 9 · Break it
#
# So far the generator took one step while the discriminator took two. Now make it **eager**: five steps before each step of the
# discriminator. In five steps it has time to find the one place that this discriminator likes best. First with feature matching, then with
# the vanilla loss:


# %%
def vanilla(model, features_real, features_fake):
    """-log D of the fakes, with the form of a matching loss: it has no use for the real images."""
    return F.softplus(-model.head(features_fake).logsumexp(dim=1)).mean()


# %% tags=["nbval-ignore-output"]
game = partial(playground.watch_gan, discriminator_loss, generator_step, eager=5, num_steps=200)
games = [
    game(feature_matching, title="SGAN, eager, feature matching"),
    game(vanilla, title="SGAN, eager, vanilla"),
]

# %% [markdown]
# Where have the diamonds gone? Move through the second game. They fly off together, and in the end all of them sit in one place. Your
# `diversity` notices without looking. (A point is an image of two channels and one pixel.)

# %% tags=["nbval-ignore-output"]
films = {name: film for watched in games for name, film in watched.films.items()}
how_diverse = {
    name: [
        (frame.step, diversity(torch.tensor(frame.samples).view(-1, 2, 1, 1), film.points.images))
        for frame in film.frames
    ]
    for name, film in films.items()
}

# %% tags=["nbval-ignore-output", "figure"]
figure, ax = plots.plt.subplots(figsize=(7, 3))
for (name, curve), colour, rhythm in zip(
    how_diverse.items(), (plots.looks.look("SGAN").color, plots.looks.INK), ("-", "--")
):
    ax.plot(
        *zip(*curve),
        label=name.removeprefix("SGAN, "),
        color=colour,
        linestyle=rhythm,
        marker="",
    )
ax.axhline(1, color="0.6", linewidth=0.8, linestyle="-", marker="", label="real points")
ax.set(
    xlabel="step", ylabel="diversity", yscale="log", title="An eager generator: one aim keeps its variety, one loses it"
)
plots.label_ends(ax)
plots.show(
    figure,
    "Diversity of the generated points against the step, on a logarithmic axis, with a line at 1 for real points. With feature matching it "
    "settles near 1; with the vanilla loss it falls far below.",
)

# %% [markdown]
# Nothing in the vanilla loss asks for variety: it is lowest when *every* fake is the one that passes best. Feature matching asks for an
# average over the batch, which one point alone can hardly meet. A falling line is your alarm, and it says *when* to stop.

# %% [markdown]
# ## What we know
#
# - On the lesions the dot plot in section 8 is what we measured: five label splits, these settings. Compare its two rows: the aim of the
#   generator matters.
# - The order of the rows is what Dai et al. lead one to expect. It doesn't prove their reason.
# - We haven't tried the game without $\mathcal{L}_{\mathrm{real}}$. Whether real images help as a *task*, or fakes as a disturbance, is open.
# - A step of SGAN takes several times as long as a supervised one ([cost](../docs/results/cost.md)). Equal steps are not equal work.
# - All lesions come from one collection, and one more data set, the digits, says little about others.

# %% [markdown]
# ## Quiz
#
# Choose, then open the answer you chose.
#
# **Question 1** (4a). Add 3 to all $K$ logits of an image. What changes?
#
# <details><summary>a) The class probabilities and D</summary>The softmax over the classes does not notice a constant. Only D
# does.</details>
# <details><summary>b) D only</summary>Yes. Which class is in the differences, how real is in the height.</details>
# <details><summary>c) Nothing</summary>That would be so with K + 1 free logits and the constant added to all of them. The
# logit of <i>fake</i> is fixed.</details>

# %% [markdown]
# **Question 2** (4b). Why are the fakes detached in the discriminator's loss?
#
# <details><summary>a) So that the generator does not learn to be found out</summary>Yes. The gradient of this loss would make
# the fakes easier to tell. Our generator's step sets old gradients to zero, so here they would only cost time; a step that
# forgets it would follow them.</details>
# <details><summary>b) Because the loss would become nan</summary>Its value does not change at all.</details>
# <details><summary>c) So that the discriminator does not learn from fakes</summary>It does: detach stops the gradient at the
# images, not at the weights that judge them.</details>

# %% [markdown]
# **Question 3** (4d). The generated images of method A look better than those of method B. The classifier of A is
#
# <details><summary>a) better</summary>Not by itself: a generator that copies reality gives the classifier nothing
# new.</details>
# <details><summary>b) worse</summary>Not by itself, either: it depends on where the fakes lie.</details>
# <details><summary>c) unknown until it is measured</summary>Yes. Images and classifier are two results.</details>

# %% [markdown]
# ## Key points
#
# - A classifier of K logits holds a discriminator: D is the sigmoid of their logsumexp. Softplus keeps its losses finite.
# - Each side learns by itself: detached fakes for one, a backward pass limited to the generator for the other.
# - A generator that is ahead can collapse: watch the diversity.
# - Judge the classifier by its own scores. Nice images prove nothing.
#
# Next: `05_consistency.ipynb`, agreeing with oneself.

# %%
progress("04")
