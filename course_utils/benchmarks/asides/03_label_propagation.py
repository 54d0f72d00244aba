"""Self-made features, and the two hybrids of graph and network: run after lesson 03, with its functions, by `course benchmark`."""

# %% tags=["all-settings"]
import torch.nn.functional as F

from course_utils.batches import batches
from course_utils.models import new_model
from course_utils.settings import NUM_STEPS
from course_utils.training import train


# %%
class Contrastive(torch.nn.Module):
    """The course's network, with a head that maps its features to unit vectors to be compared (Chen et al. 2020, very much reduced)."""

    def __init__(self, body):
        super().__init__()
        self.body = body
        self.head = torch.nn.Sequential(torch.nn.Linear(1568, 128), torch.nn.ReLU(), torch.nn.Linear(128, 64))

    def forward(self, x):
        return F.normalize(self.head(self.body.features(x)))


def contrastive_loss(model, batch):
    z = model(torch.cat([batch.x_w, batch.x_s]))
    alike = (z @ z.T / 0.2).fill_diagonal_(-torch.inf)  # nobody is their own partner
    partner = torch.arange(len(z), device=z.device).roll(len(z) // 2)
    found = (alike.argmax(1) == partner).float().mean()
    return F.cross_entropy(alike, partner), {"partner found": found.item()}


# %%
# Each of two strong views has to find its partner among all others: features without any label
with torch.random.fork_rng(devices=[]):
    torch.manual_seed(SEED)
    contrastive = Contrastive(new_model(dataset, SEED)).to(DEVICE)
stream = batches(label_split, strong, strong, batch_size=32, mu=1, seed=SEED)
self_run = train(contrastive, contrastive_loss, stream, NUM_STEPS, label="contrastive")
self_made = Graph(*embed(*(features_of(self_run.ema.body, x) for x in (pool_images, test_images))))
self_masses = label_propagation(self_made.W, Y, is_labelled, FLOW_STEPS)
keep("label propagation, self-made features", self_run, self_masses, self_made)

# %% tags=["all-settings"]
# The network helps the graph: its confident answers become seeds, held softly, so that a wrong one can be outvoted
network_says = evaluation.predict(run.ema, dataset.train.images)
sure = np.flatnonzero(network_says.max(1) >= 0.95)
Y_more, _ = seeds(sure, network_says[sure].argmax(1))
Y_more[labelled] = Y[labelled]  # what is known stays
ls_more = label_spreading(graph.W, Y_more, ALPHA, FLOW_STEPS)
keep("label spreading, pseudo-label seeds", run, ls_more, graph)


# %% tags=["all-settings"]
class FilteredFixMatch:
    """FixMatch as a loss for `train`, with the graph's opinion as a second condition."""

    def __init__(self, opinion, threshold=0.95):
        self.opinion, self.threshold = opinion, threshold

    @torch.no_grad()
    def targets(self, model, batch):
        sureness, named = torch.max(torch.softmax(model(batch.x_w), -1), -1)
        own = sureness.ge(self.threshold).to(sureness.dtype)
        return named, own, second_opinion(named, own, batch.index.to(named.device), self.opinion)

    def __call__(self, model, batch):
        named, own, both = self.targets(model, batch)
        n = batch.y_l.numel()
        log_p = model(torch.vstack([batch.x_l, batch.x_s])).log_softmax(-1)
        surprise = -log_p[n:].gather(1, named[:, None]).squeeze(1)
        loss = F.nll_loss(log_p[:n], batch.y_l) + surprise @ both / len(both)
        return loss, {"confident": own.mean().item(), "and the graph agrees": both.mean().item()}


# %% tags=["all-settings"]
# The graph helps the network: it keeps a pseudo-label of FixMatch only where it says the same
stream = batches(label_split, weak, strong, batch_size=32, mu=2, seed=SEED)
name = "FixMatch, graph filter"
filtered = train(new_model(dataset, SEED), FilteredFixMatch(opinion.to(DEVICE)), stream, NUM_STEPS, label=name)
before = run.seconds + graph.seconds + flow_seconds  # the graph needs the supervised network first
whole = replace(filtered, seconds=filtered.seconds + before, images_seen=filtered.images_seen + run.images_seen)
results.record(name, dataset, label_split, whole, evaluation.evaluate(filtered.ema, dataset.test))
