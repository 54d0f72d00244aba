"""Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason."""

EQUIVALENT = {
    "0.2": {
        "return (test_labels == answer).float().mean().item() -> return (test_labels == answer).float().mean()": "a scalar tensor is accepted, too",
    },
    "0.3": {
        "predicted_and_true = confusion.sum(0) + confusion.sum(1) -> predicted_and_true = confusion.sum(0).detach() + confusion.sum(1)": "counts carry no gradient",
        "predicted_and_true = confusion.sum(0) + confusion.sum(1) -> predicted_and_true = confusion.sum(0) + confusion.sum(1).detach()": "counts carry no gradient",
        "f1 = 2 * hits / predicted_and_true.clamp(min=1) -> f1 = 2 * hits / predicted_and_true.clamp(min=2)": "a denominator of 1 has no hit above it",
        "return f1.mean().item() -> return f1.mean()": "a scalar tensor is accepted, too",
    },
    "1.2": {
        "return (F.cross_entropy(logits, batch.y_l), {'accuracy': right.float().mean().item()}) -> return (F.cross_entropy(logits, batch.y_l), {'accuracy': right.float().mean()})": "a scalar tensor is a number, too",
    },
    "1.3": {
        "pieces = [model(piece).softmax(dim=1) for piece in images.split(batch_size)] -> pieces = [model(piece).softmax(dim=-1) for piece in images.split(batch_size)]": "this axis is the last one",
    },
    "1.4": {
        "return F.cross_entropy(logits + strength * prior.log(), labels) -> return F.cross_entropy(logits + (strength * prior.log()).detach(), labels)": "the prior is a constant",
    },
    "1.5": {
        "return (difference.mean(), difference.std(ddof=1) / np.sqrt(len(difference))) -> return (difference.mean(), difference.std(ddof=1) / np.sqrt(len(a)))": "`a`, `b` and their difference have the same length",
        "return (difference.mean(), difference.std(ddof=1) / np.sqrt(len(difference))) -> return (difference.mean(), difference.std(ddof=1) / np.sqrt(len(b)))": "`a`, `b` and their difference have the same length",
    },
    "2.2": {
        "pseudo_labels = unknown.detach().argmax(dim=1) -> pseudo_labels = unknown.argmax(dim=1)": "argmax has no gradient",
        "pseudo_labels = unknown.detach().argmax(dim=1) -> pseudo_labels = unknown.detach().argmax(dim=-1)": "this axis is the last one",
    },
    "2.3": {
        "confidence, guess = probabilities.max(dim=1) -> confidence, guess = probabilities.max(dim=-1)": "this axis is the last one",
        "return (positions, guess[positions]) -> return (positions, guess[believed])": "the mask picks the same images in the same order",
    },
    "2.5": {
        "labelled = (known >= 0).nonzero().squeeze(1) -> labelled = (known >= 0).nonzero()": "an index of shape (K, 1) strikes out the same images",
        "labelled = (known >= 0).nonzero().squeeze(1) -> labelled = (known >= 0).nonzero().squeeze()": "an index without axes strikes out the one labelled image",
        "labelled = (known >= 0).nonzero().squeeze(1) -> labelled = (known > 0).nonzero().squeeze(1)": "merge gives back the true labels that are not struck out",
        "labelled = (known >= 0).nonzero().squeeze(1) -> labelled = (known == 0).nonzero().squeeze(1)": "merge gives back the true labels that are not struck out",
        "labelled = (known >= 0).nonzero().squeeze(1) -> labelled = (known >= 1).nonzero().squeeze(1)": "merge gives back the true labels that are not struck out",
        "labelled = (known >= 0).nonzero().squeeze(1) -> labelled = (known >= 0).nonzero().squeeze(0)": "an index of shape (K, 1) or (1,) strikes out the same images",
        "if torch.equal(targets, before): -> if torch.equal(before, targets):": "equality has no order",
    },
    "2.6": {
        "if not mistakes.any():; return math.nan; return (last == first)[mistakes].float().mean().item() -> return (last == first)[mistakes].float().mean().item(); if not mistakes.any():; return math.nan": "the mean of nothing is nan",
        "if not mistakes.any():; return math.nan -> (nothing)": "the mean of nothing is nan",
        "return math.nan -> pass": "the mean of nothing is nan",
        "return math.nan -> return -math.nan": "nan has no sign that counts",
        "return (last == first)[mistakes].float().mean().item() -> return (last == first)[mistakes].float().mean()": "a scalar float tensor is accepted, too",
    },
    "3.1": {
        "difference = x[:, None] - x[None] -> difference = -(x[:, None] - x[None])": "the difference is squared",
        "difference = x[:, None] - x[None] -> difference = x[None] - x[:, None]": "the difference is squared",
        "difference = x[:, None] - x[None] -> difference = x[:, None] - x": "numpy adds the leading axis by itself",
        "W = np.exp(-gamma * (difference ** 2).sum(axis=2)) -> W = np.exp(-gamma * (difference ** 2).sum(axis=-1))": "this axis is the last one",
    },
    "3.2": {
        "d = np.linalg.norm(x[:, None] - x[None], axis=2) -> d = np.linalg.norm(x[None] - x[:, None], axis=2)": "a distance has no sign",
        "d = np.linalg.norm(x[:, None] - x[None], axis=2) -> d = np.linalg.norm(x[:, None] - x, axis=2)": "numpy adds the leading axis by itself",
        "d = np.linalg.norm(x[:, None] - x[None], axis=2) -> d = np.linalg.norm(x[:, None] - x[None], axis=-1)": "this axis is the last one",
        "nearest = np.argsort(d, axis=1)[:, :k] -> nearest = np.argsort(d)[:, :k]": "the last axis is the default",
        "nearest = np.argsort(d, axis=1)[:, :k] -> nearest = np.argsort(d, axis=-1)[:, :k]": "this axis is the last one",
        "A = np.zeros((len(x), len(x))) -> A = -np.zeros((len(x), len(x)))": "minus zero is zero",
        "A = np.zeros((len(x), len(x))) -> A = np.zeros((len(d), len(x)))": "x, d and nearest have N rows, and d has N columns",
        "A = np.zeros((len(x), len(x))) -> A = np.zeros((len(nearest), len(x)))": "x, d and nearest have N rows, and d has N columns",
        "A = np.zeros((len(x), len(x))) -> A = np.zeros((len(x), len(d)))": "x, d and nearest have N rows, and d has N columns",
        "A = np.zeros((len(x), len(x))) -> A = np.zeros((len(x), len(nearest)))": "x, d and nearest have N rows, and d has N columns",
        "np.put_along_axis(A, nearest, 1, axis=1) -> np.put_along_axis(A, nearest, 1, axis=-1)": "this axis is the last one",
    },
    "3.3": {
        "degree = W.sum(axis=1) -> degree = W.sum(axis=-1)": "this axis is the last one",
        "degree = W.sum(axis=1) -> degree = W.sum(axis=0)": "W is symmetric",
        "degree = np.where(degree > 0, degree, 1)[:, None] -> degree = np.where(degree != 0, degree, 1)[:, None]": "a degree is never negative",
        "degree = np.where(degree > 0, degree, 1)[:, None] -> degree = np.where(degree > 0, degree, 2)[:, None]": "a row without edges is 0 before it is divided",
    },
    "3.4": {
        "degree = W.sum(axis=1) -> degree = W.sum(axis=-1)": "this axis is the last one",
        "degree = W.sum(axis=1) -> degree = W.sum(axis=0)": "W is symmetric",
        "scale = np.where(degree > 0, degree, 1)[:, None] ** (-0.5) -> scale = -np.where(degree > 0, degree, 1)[:, None] ** (-0.5)": "the scale stands on both sides of W",
        "scale = np.where(degree > 0, degree, 1)[:, None] ** (-0.5) -> scale = np.where(degree != 0, degree, 1)[:, None] ** (-0.5)": "a degree is never negative",
        "scale = np.where(degree > 0, degree, 1)[:, None] ** (-0.5) -> scale = np.where(degree > 0, degree, 2)[:, None] ** (-0.5)": "a row or column without edges is 0 before it is scaled",
    },
    "3.5": {
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share != 0, prior / np.where(share > 0, share, 1), 1.0)": "a share is never negative",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / share, 1.0)": "only shares above 0 are divided by themselves, and the outer `where` takes no other quotient",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / np.where(1, share, share > 0), 1.0)": "only shares above 0 are divided by themselves, and the outer `where` takes no other quotient",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / np.where(share >= 0, share, 1), 1.0)": "only shares above 0 are divided by themselves, and the outer `where` takes no other quotient",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / np.where(share != 0, share, 1), 1.0)": "only shares above 0 are divided by themselves, and the outer `where` takes no other quotient",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / np.where(prior > 0, share, 1), 1.0)": "a prior of 0 gives the factor 0, whatever it is divided by",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / np.where(share > -1, share, 1), 1.0)": "only shares above 0 are divided by themselves, and the outer `where` takes no other quotient",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / np.where(share > 0, share, 2), 1.0)": "only shares above 0 are divided by themselves, and the outer `where` takes no other quotient",
        "return np.where(share > 0, prior / np.where(share > 0, share, 1), 1.0) -> return np.where(share > 0, prior / np.where(share > 0, share, 0), 1.0)": "only shares above 0 are divided by themselves, and the outer `where` takes no other quotient",
    },
    "3.6": {
        "heard = (weights[:, :, None] * masses[neighbours]).sum(axis=1) -> heard = (weights[:, :, None] * masses[neighbours]).mean(axis=1)": "the number of neighbours cancels when the row is divided by its sum",
        "total = heard.sum(axis=1, keepdims=True) -> total = heard.sum(axis=-1, keepdims=True)": "this axis is the last one",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total != 0, heard / np.where(total > 0, total, 1), fallback)": "what is heard is never negative",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / total, fallback)": "only totals above 0 are divided by, and the outer `where` takes no other quotient",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / np.where(1, total, total > 0), fallback)": "only totals above 0 are divided by, and the outer `where` takes no other quotient",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / np.where(total >= 0, total, 1), fallback)": "only totals above 0 are divided by, and the outer `where` takes no other quotient",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / np.where(total != 0, total, 1), fallback)": "only totals above 0 are divided by, and the outer `where` takes no other quotient",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / np.where(heard > 0, total, 1), fallback)": "0 divided by 1 is 0, too",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / np.where(total > -1, total, 1), fallback)": "only totals above 0 are divided by, and the outer `where` takes no other quotient",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / np.where(total > 0, total, 2), fallback)": "only totals above 0 are divided by, and the outer `where` takes no other quotient",
        "return np.where(total > 0, heard / np.where(total > 0, total, 1), fallback) -> return np.where(total > 0, heard / np.where(total > 0, total, 0), fallback)": "only totals above 0 are divided by, and the outer `where` takes no other quotient",
    },
    "4.1": {
        "return logits.logsumexp(dim=1).sigmoid() -> return logits.logsumexp(dim=-1).sigmoid()": "this axis is the last one",
    },
    "4.2": {
        "loss_real = F.softplus(-logits_real.logsumexp(dim=1)).mean() -> loss_real = F.softplus(-logits_real.logsumexp(dim=-1)).mean()": "this axis is the last one",
        "loss_fake = F.softplus(logits_fake.logsumexp(dim=1)).mean() -> loss_fake = F.softplus(logits_fake.logsumexp(dim=-1)).mean()": "this axis is the last one",
    },
    "4.3": {
        "n = len(x_l) -> n = len(y_l)": "as many labels as labelled images",
        "loss_real, loss_fake = real_fake_losses(logits[n:], logits_fake) -> loss_fake, loss_real = real_fake_losses(logits[n:], logits_fake)": "both are only added, with the same weight",
    },
    "4.4": {
        "difference = features_real.mean(dim=0) - features_fake.mean(dim=0) -> difference = -(features_real.mean(dim=0) - features_fake.mean(dim=0))": "the difference is squared",
        "difference = features_real.mean(dim=0) - features_fake.mean(dim=0) -> difference = features_fake.mean(dim=0) - features_real.mean(dim=0)": "the difference is squared",
    },
    "4.5": {
        "loss = objective(features_real, model.features(painter(z))); optimizer_g.zero_grad() -> optimizer_g.zero_grad(); loss = objective(features_real, model.features(painter(z)))": "the old gradients may go at any time before backward",
        "with torch.no_grad():; features_real = model.features(x_u) -> features_real = model.features(x_u)": "the backward pass is limited to the generator anyway",
        "optimizer_g.zero_grad() -> painter.zero_grad()": "the optimizer holds all parameters of the generator",
        "loss.backward(inputs=list(painter.parameters())) -> loss.backward(inputs=painter.parameters())": "torch takes any iterable of parameters",
    },
    "5.1": {
        "return (logits.softmax(dim=1) - target.detach()).square().mean() -> return (target.detach() - logits.softmax(dim=1)).square().mean()": "the difference is squared",
        "return (logits.softmax(dim=1) - target.detach()).square().mean() -> return (logits.softmax(dim=-1) - target.detach()).square().mean()": "this axis is the last one",
    },
    "5.2": {
        "return math.exp(-5 * (1 - t) ** 2) -> return math.exp(-5 * (t - 1) ** 2)": "the difference is squared",
    },
    "5.3": {
        "with torch.no_grad():; target = teacher(batch.x_w).softmax(dim=1); logits = student(torch.cat([batch.x_l, batch.x_s])) -> logits = student(torch.cat([batch.x_l, batch.x_s])); with torch.no_grad():; target = teacher(batch.x_w).softmax(dim=1)": "the two passes may come in either order",
        "target = teacher(batch.x_w).softmax(dim=1) -> target = teacher(batch.x_w).softmax(dim=-1)": "this axis is the last one",
    },
    "5.4": {
        "Z[index] = alpha * Z[index] + (1 - alpha) * z.detach(); counts[index] += 1 -> counts[index] += 1; Z[index] = alpha * Z[index] + (1 - alpha) * z.detach()": "neither of the two uses the other",
        "Z[index] = alpha * Z[index] + (1 - alpha) * z.detach() -> Z[index] = (alpha * Z[index]).detach() + (1 - alpha) * z.detach()": "nothing here carries a gradient in the end",
        "Z[index] = alpha * Z[index] + (1 - alpha) * z.detach() -> Z[index] = alpha * Z[index] + ((1 - alpha) * z.detach()).detach()": "nothing here carries a gradient in the end",
    },
    "5.5": {
        "for slow, fast in zip(teacher.parameters(), student.parameters()):; slow.mul_(rate).add_(fast, alpha=1 - rate); for slow, fast in zip(teacher.buffers(), student.buffers()):; slow.copy_(fast) -> for slow, fast in zip(teacher.buffers(), student.buffers()):; slow.copy_(fast); for slow, fast in zip(teacher.parameters(), student.parameters()):; slow.mul_(rate).add_(fast, alpha=1 - rate)": "parameters and buffers are apart",
    },
    "5.6": {
        "total = p.sum(dim=(1, 2, 3)) + mask.sum(dim=(1, 2, 3)) -> total = p.sum(dim=(1, 2, 3)) + mask.sum(dim=(1, 2, 3)).detach()": "the mask is a constant",
        "return torch.where(total > 0, 2 * overlap / total.clamp(min=1e-08), 1.0) -> return torch.where(total != 0, 2 * overlap / total.clamp(min=1e-08), 1.0)": "the sum is never negative",
        "return torch.where(total > 0, 2 * overlap / total.clamp(min=1e-08), 1.0) -> return torch.where(total > 0, 2 * overlap / total.clamp(min=2e-08), 1.0)": "a total that small has no masked pixel in it, so the overlap is 0",
        "return torch.where(total > 0, 2 * overlap / total.clamp(min=1e-08), 1.0) -> return torch.where(total > 0, 2 * overlap / total.clamp(min=5e-09), 1.0)": "a total that small has no masked pixel in it, so the overlap is 0",
    },
    "5.7": {
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = torch.rand(len(both), generator=rng) < 0.5": "a tensor of truth values can be gone through, too",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(both), generator=rng) <= 0.5).tolist()": "the coin hits .5 once in 2^24 throws",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(both), generator=rng) > 0.5).tolist()": "the other side of the coin",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(both), generator=rng) >= 0.5).tolist()": "the other side of the coin",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(image), generator=rng) < 0.5).tolist()": "as many images as pairs",
        "mirrored = (torch.rand(len(both), generator=rng) < 0.5).tolist() -> mirrored = (torch.rand(len(target), generator=rng) < 0.5).tolist()": "as many images as pairs",
        "turns = torch.randint(4, (len(both),), generator=rng).tolist() -> turns = torch.randint(4, (len(both),), generator=rng)": "torch turns by a tensor's number, too",
        "turns = torch.randint(4, (len(both),), generator=rng).tolist() -> turns = torch.randint(4, (len(image),), generator=rng).tolist()": "as many images as pairs",
        "turns = torch.randint(4, (len(both),), generator=rng).tolist() -> turns = torch.randint(4, (len(mirrored),), generator=rng).tolist()": "as many images as pairs",
        "turns = torch.randint(4, (len(both),), generator=rng).tolist() -> turns = torch.randint(4, (len(target),), generator=rng).tolist()": "as many images as pairs",
        "warped = [(x.flip(2) if m else x).rot90(k, (1, 2)) for x, m, k in zip(both, mirrored, turns)] -> warped = [(x if m else x.flip(2)).rot90(k, (1, 2)) for x, m, k in zip(both, mirrored, turns)]": "the other side of the coin",
        "warped = [(x.flip(2) if m else x).rot90(k, (1, 2)) for x, m, k in zip(both, mirrored, turns)] -> warped = [(x.flip(1) if m else x).rot90(k, (1, 2)) for x, m, k in zip(both, mirrored, turns)]": "up-down is left-right and half a turn, and all turns are equally likely",
    },
    "6.1": {
        "mirrored = torch.rand(len(x), generator=rng) < 0.5 -> mirrored = torch.rand(len(x), generator=rng) <= 0.5": "the coin hits .5 once in 2^24 throws",
        "mirrored = torch.rand(len(x), generator=rng) < 0.5 -> mirrored = torch.rand(len(x), generator=rng) > 0.5": "the other side of the coin",
        "mirrored = torch.rand(len(x), generator=rng) < 0.5 -> mirrored = torch.rand(len(x), generator=rng) >= 0.5": "the other side of the coin",
        "return torch.where(mirrored.view(-1, 1, 1, 1), x.flip(3), x) -> return torch.where(mirrored.view(-1, 1, 1, 1), x, x.flip(3))": "the other side of the coin",
    },
    "6.2": {
        "probabilities = logits_w.detach().softmax(dim=1) -> probabilities = logits_w.softmax(dim=1)": "neither a comparison nor an argmax has a gradient",
        "probabilities = logits_w.detach().softmax(dim=1) -> probabilities = logits_w.detach().softmax(dim=-1)": "this axis is the last one",
        "confidence, guess = probabilities.max(dim=1) -> confidence, guess = probabilities.max(dim=-1)": "this axis is the last one",
    },
    "6.4": {
        "with torch.no_grad():; logits_w = model(batch.x_w) -> logits_w = model(batch.x_w)": "guess and mask carry no gradient either way; no_grad only saves time and memory",
        "logits_l, logits_s = logits.split([len(batch.x_l), len(batch.x_s)]) -> logits_l, logits_s = logits.split([len(batch.x_l), len(batch.x_w)])": "as many weak views as strong ones",
        "return (loss, {'mask': mask.mean().item()}) -> return (loss, {'mask': mask.mean()})": "a scalar tensor is a number, too",
    },
    "6.5": {
        "return (share, torch.bincount(guess, weights=right, minlength=num_classes) / kept_guesses) -> return (share, torch.bincount(truth, weights=right, minlength=num_classes) / kept_guesses)": "where the guess is right it is the true class",
    },
    "6.6": {
        "steps = min(math.ceil(num_labelled / batch_l), math.ceil(num_unlabelled / batch_u)) -> steps = math.ceil(num_labelled / batch_l)": "more steps than the unlabelled loader has are cut off by the second min",
        "steps = min(math.ceil(num_labelled / batch_l), math.ceil(num_unlabelled / batch_u)) -> steps = min(math.ceil(num_labelled / batch_l), num_unlabelled / batch_u)": "a part of the last step brings the last images, and no more are counted either way",
        "steps = min(math.ceil(num_labelled / batch_l), math.ceil(num_unlabelled / batch_u)) -> steps = min(math.ceil(num_labelled / batch_l), math.ceil(num_unlabelled))": "more steps than the unlabelled loader has are cut off by the second min",
        "steps = min(math.ceil(num_labelled / batch_l), math.ceil(num_unlabelled / batch_u)) -> steps = min(math.ceil(num_labelled / batch_l), math.ceil(num_unlabelled * batch_u))": "more steps than the unlabelled loader has are cut off by the second min",
    },
    "7.2": {
        "counts = torch.bincount(memory[memory >= 0], minlength=num_classes).float() -> counts = torch.bincount(memory[memory >= 0], minlength=num_classes)": "true division makes floats of the counts",
    },
    "7.5": {
        "with torch.no_grad():; logits_w = model(batch.x_w) -> logits_w = model(batch.x_w)": "guess and mask carry no gradient either way; no_grad only saves time and memory",
        "return (loss, {'mask': mask.mean().item()}, new_memory) -> return (loss, {'mask': mask.mean()}, new_memory)": "a scalar tensor is a number, too",
    },
    "7.7": {
        "weighted = q * prior / average -> weighted = -(q * prior / average)": "the sign cancels when the row is divided by its sum",
        "return weighted / weighted.sum(dim=1, keepdim=True) -> return weighted / weighted.sum(dim=-1, keepdim=True)": "this axis is the last one",
    },
    "8.1": {
        "powers = p ** (1 / T) -> powers = -p ** (1 / T)": "the sign cancels when the row is divided by its sum",
        "return powers / powers.sum(dim=1, keepdim=True) -> return powers / powers.sum(dim=-1, keepdim=True)": "this axis is the last one",
    },
    "8.2": {
        "average = logits.detach().softmax(dim=2).mean(dim=0) -> average = logits.detach().softmax(dim=2).sum(dim=0)": "the number of views cancels in sharpen",
        "average = logits.detach().softmax(dim=2).mean(dim=0) -> average = logits.detach().softmax(dim=-1).mean(dim=0)": "this axis is the last one",
    },
    "8.3": {
        "x = weight_x * x1 + (1 - weight_x) * x2 -> x = (weight_x * x1).detach() + (1 - weight_x) * x2": "images and labels are constants",
        "x = weight_x * x1 + (1 - weight_x) * x2 -> x = weight_x * x1 + ((1 - weight_x) * x2).detach()": "images and labels are constants",
        "p = weight_p * p1 + (1 - weight_p) * p2 -> p = (weight_p * p1).detach() + (1 - weight_p) * p2": "images and labels are constants",
        "p = weight_p * p1 + (1 - weight_p) * p2 -> p = weight_p * p1 + ((1 - weight_p) * p2).detach()": "images and labels are constants",
    },
    "8.4": {
        "loss_u = (logits_u.softmax(dim=1) - p_u).square().mean() -> loss_u = (p_u - logits_u.softmax(dim=1)).square().mean()": "the difference is squared",
        "loss_u = (logits_u.softmax(dim=1) - p_u).square().mean() -> loss_u = (logits_u.softmax(dim=-1) - p_u).square().mean()": "this axis is the last one",
    },
    "8.6": {
        "labels = F.one_hot(y_l, q.shape[1]).float() -> labels = F.one_hot(y_l, q.shape[1])": "torch.cat makes floats of whole numbers next to floats",
        "logits, n = (model(x), len(x_l)) -> logits, n = (model(x), len(labels))": "as many labels as labelled images",
        "logits, n = (model(x), len(x_l)) -> logits, n = (model(x), len(y_l))": "as many labels as labelled images",
    },
    "9.2": {
        "patterns = np.array(list(itertools.product((1, -1), repeat=len(differences)))) -> patterns = -np.array(list(itertools.product((1, -1), repeat=len(differences))))": "the set of all patterns is the same with all signs flipped",
        "patterns = np.array(list(itertools.product((1, -1), repeat=len(differences)))) -> patterns = list(itertools.product((1, -1), repeat=len(differences)))": "numpy makes an array of the list",
        "patterns = np.array(list(itertools.product((1, -1), repeat=len(differences)))) -> patterns = np.array(list(itertools.product((-1, 1), repeat=len(differences))))": "the order of the patterns does not matter",
        "flipped = np.abs((patterns * differences).mean(axis=1)) -> flipped = np.abs((patterns * differences).mean(axis=-1))": "this axis is the last one",
        "return (flipped >= np.abs(differences.mean()) - 1e-12).mean() -> return (flipped > np.abs(differences.mean()) - 1e-12).mean()": "at the bound itself rounding decides",
    },
    "9.3": {
        "no_worse, better = ((cost <= c) & (benefit >= b), (cost < c) | (benefit > b)) -> better, no_worse = ((cost <= c) & (benefit >= b), (cost < c) | (benefit > b))": "both must hold, in either order",
        "no_worse, better = ((cost <= c) & (benefit >= b), (cost < c) | (benefit > b)) -> no_worse, better = ((cost < c) | (benefit > b), (cost <= c) & (benefit >= b))": "both must hold, in either order",
        "no_worse, better = ((cost <= c) & (benefit >= b), (cost < c) | (benefit > b)) -> no_worse, better = ((cost <= c) & (benefit >= b), (cost != c) | (benefit > b))": "among the methods that are no worse, different is better",
        "no_worse, better = ((cost <= c) & (benefit >= b), (cost < c) | (benefit > b)) -> no_worse, better = ((cost <= c) & (benefit >= b), (cost < c) | (benefit != b))": "among the methods that are no worse, different is better",
    },
    "9.5": {
        "share, accuracy, confidence = (np.zeros(num_bins), *np.full((2, num_bins), np.nan)) -> share, confidence, accuracy = (np.zeros(num_bins), *np.full((2, num_bins), np.nan))": "both begin as nan",
        "share, accuracy, confidence = (np.zeros(num_bins), *np.full((2, num_bins), np.nan)) -> share, accuracy, confidence = (np.ones(num_bins), *np.full((2, num_bins), np.nan))": "every bin's share is written",
        "share[b] = mask.mean(); if mask.any():; accuracy[b], confidence[b] = (right[mask].mean(), top[mask].mean()) -> if mask.any():; accuracy[b], confidence[b] = (right[mask].mean(), top[mask].mean()); share[b] = mask.mean()": "neither of the two uses the other",
        "if mask.any():; accuracy[b], confidence[b] = (right[mask].mean(), top[mask].mean()) -> accuracy[b], confidence[b] = (right[mask].mean(), top[mask].mean())": "the mean of nothing is nan",
        "if mask.any(): -> if accuracy.any():": "always true, for nan counts as true; the mean of nothing is nan",
        "if mask.any(): -> if confidence.any():": "always true, for nan counts as true; the mean of nothing is nan",
        "if mask.any(): -> if probabilities.any():": "always true; the mean of nothing is nan",
        "if mask.any(): -> if share.any():": "true from the first bin with an image on; the mean of nothing is nan",
        "if mask.any(): -> if top.any():": "always true; the mean of nothing is nan",
    },
    "9.6": {
        "share, accuracy, confidence = reliability(probabilities, labels, num_bins) -> share, confidence, accuracy = reliability(probabilities, labels, num_bins)": "the distance has no sign",
        "return np.nansum(share * np.abs(accuracy - confidence)) -> return np.nansum(share * np.abs(confidence - accuracy))": "the distance has no sign",
    },
    "9.7": {
        "moved = np.mean(members, axis=0) * shares ** (-strength) -> moved = -(np.mean(members, axis=0) * shares ** (-strength))": "the division by the row's sum takes the sign out again",
        "moved = np.mean(members, axis=0) * shares ** (-strength) -> moved = np.sum(members, axis=0) * shares ** (-strength)": "the division by the row's sum takes the number of members out again",
        "return moved / moved.sum(axis=1, keepdims=True) -> return moved / moved.sum(axis=-1, keepdims=True)": "this axis is the last one",
    },
    "10.1": {
        "scaled = (x + 1) * 127.5 -> scaled = (x.detach() + 1) * 127.5": "bytes carry no gradient",
    },
    "10.2": {
        "with torch.no_grad():; target = teacher(x_w).softmax(dim=1); answer = student(x_s).softmax(dim=1) -> answer = student(x_s).softmax(dim=1); with torch.no_grad():; target = teacher(x_w).softmax(dim=1)": "neither pass uses the other",
        "target = teacher(x_w).softmax(dim=1) -> target = teacher(x_w).softmax(dim=-1)": "this axis is the last one",
        "answer = student(x_s).softmax(dim=1) -> answer = student(x_s).softmax(dim=-1)": "this axis is the last one",
        "return (answer - target).square().mean() -> return (target - answer).square().mean()": "a square has no sign",
    },
    "10.3": {
        "known = masses.sum(axis=1) > 0 -> known = masses.sum(axis=1) != 0": "a mass is never negative",
        "known = masses.sum(axis=1) > 0 -> known = masses.mean(axis=1) > 0": "above zero together with the sum",
        "known = masses.sum(axis=1) > 0 -> known = W.sum(axis=1) > 0": "each labelled image has one class, so the weights sum to the masses",
        "known = masses.sum(axis=1) > 0 -> known = masses.sum(axis=-1) > 0": "this axis is the last one",
        "return np.where(known, masses.argmax(axis=1), -1) -> return np.where(known, masses.argmax(axis=-1), -1)": "this axis is the last one",
    },
    "10.4": {
        "target = (logits_w.detach() / T).softmax(dim=1) -> target = (logits_w.detach() / T).softmax(dim=-1)": "this axis is the last one",
        "return F.kl_div(logits_s.log_softmax(dim=1), target, reduction='batchmean') -> return F.kl_div(logits_s.log_softmax(dim=-1), target, reduction='batchmean')": "this axis is the last one",
    },
    "10.5": {
        "takes_part = ((-losses.detach()).exp() <= eta).float() -> takes_part = (-losses.detach()).exp() <= eta": "True and False count as 1 and 0",
        "takes_part = ((-losses.detach()).exp() <= eta).float() -> takes_part = ((-losses).exp() <= eta).float()": "a comparison has no gradient",
    },
    "10.6": {
        "order = counts.argsort(descending=True) -> order = counts.argsort()": "mirroring the ranks is the same from both ends",
        "order = counts.argsort(descending=True) -> order = counts.argsort(descending=False)": "mirroring the ranks is the same from both ends",
        "rates = torch.empty_like(counts) -> rates = -torch.empty_like(counts)": "every entry is written afterwards",
        "rates[order] = (counts[order.flip(0)] / counts.max()) ** alpha -> rates[order] = (counts[order.flip(-1)] / counts.max()) ** alpha": "this axis is the last one",
    },
    "10.7": {
        "right = model.eval()(x).argmax(dim=1) == y -> right = model.eval()(x).argmax(dim=-1) == y": "this axis is the last one",
    },
    "10.8": {
        "return float(test_scores[chosen]) -> return test_scores[chosen]": "a number of numpy is a number, too",
    },
}

# Exercises with many right answers: a mutant is mostly another of them. Their checks hold answers to properties, which the
# catalogues in `lessonNN.py` prove.
OPEN = {"10.10"}
