"""The network in slow, obvious loops over Python floats: the truth that the fast code must match.

Every formula stands here as its textbook has it, one number at a time, without NumPy's ufuncs,
in-place tricks or shared buffers. Tables are keyed by class name, and each entry is called with
the object's hyperparameters (``**option.get_params()``), so that an option without a formula here
fails its test.
"""

import math

# --- Activations: f and f', for one number -------------------------------------------------


def logistic(z):
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def softplus(z):
    """log(1 + exp(z)), without overflow."""
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def elu(z, alpha):
    return z if z > 0 else alpha * math.expm1(z)


def elu_derivative(z, alpha):
    return 1.0 if z > 0 else alpha * math.exp(z)


SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def gelu(z):
    return 0.5 * z * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def gelu_derivative(z):
    t = math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))
    inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * inner


def silu_derivative(z):
    s = logistic(z)
    return s + z * s * (1 - s)


def mish_derivative(z):
    t = math.tanh(softplus(z))
    return t + z * (1 - t**2) * logistic(z)


ACTIVATIONS = {
    "Identity": (lambda z: z, lambda z: 1.0),
    "Logistic": (logistic, lambda z: logistic(z) * (1 - logistic(z))),
    "Tanh": (math.tanh, lambda z: 1 - math.tanh(z) ** 2),
    "ReLU": (lambda z: max(0.0, z), lambda z: 1.0 if z > 0 else 0.0),
    "LeakyReLU": (
        lambda z, slope: z if z > 0 else slope * z,
        lambda z, slope: 1.0 if z > 0 else slope,
    ),
    "ELU": (elu, elu_derivative),
    "SELU": (
        lambda z: SELU_SCALE * elu(z, SELU_ALPHA),
        lambda z: SELU_SCALE * elu_derivative(z, SELU_ALPHA),
    ),
    "GELU": (gelu, gelu_derivative),
    "SiLU": (lambda z: z * logistic(z), silu_derivative),
    "Mish": (lambda z: z * math.tanh(softplus(z)), mish_derivative),
    "Softplus": (softplus, logistic),
}


def activation(option):
    """Return f and f' of an activation object, for one number."""
    f, derivative = ACTIVATIONS[type(option).__name__]
    params = option.get_params()
    return (lambda z: f(z, **params)), (lambda z: derivative(z, **params))


# --- Losses: prediction, loss and gradient with respect to the logits, for one row ----------


def softmax_log_loss(z, y):
    largest = max(z)
    exponentials = [math.exp(value - largest) for value in z]
    total = math.fsum(exponentials)
    p = [value / total for value in exponentials]
    log_p = [value - largest - math.log(total) for value in z]
    loss = -math.fsum(y_k * log_p_k for y_k, log_p_k in zip(y, log_p, strict=True))
    return p, loss, [p_k - y_k for p_k, y_k in zip(p, y, strict=True)]


def logistic_log_loss(z, y):
    p = [logistic(value) for value in z]
    # -log p = softplus(-z) and -log(1 - p) = softplus(z)
    loss = math.fsum(
        y_k * softplus(-z_k) + (1 - y_k) * softplus(z_k) for z_k, y_k in zip(z, y, strict=True)
    )
    return p, loss, [p_k - y_k for p_k, y_k in zip(p, y, strict=True)]


def squared_error(z, y):
    residuals = [z_k - y_k for z_k, y_k in zip(z, y, strict=True)]
    loss = 0.5 * math.fsum(r**2 for r in residuals) / len(z)
    return list(z), loss, [r / len(z) for r in residuals]


def focal_of_truth(p, rest, log_p, gamma):
    """Return FL(p) = -(1 - p)^gamma log p and p FL'(p), given also rest = 1 - p."""
    loss = -(rest**gamma) * log_p
    if rest == 0:  # the limit: log p / (1 - p) goes to -1
        return loss, -(rest**gamma)
    return loss, gamma * p * rest ** (gamma - 1) * log_p - rest**gamma


def softmax_focal(z, y, gamma):
    p, log_loss, _ = softmax_log_loss(z, y)
    truth = y.index(1)
    rest = math.fsum(p[:truth] + p[truth + 1 :])
    loss, slope = focal_of_truth(p[truth], rest, -log_loss, gamma)
    # dp_t / dz_k = p_t (1[k = t] - p_k)
    return p, loss, [slope * (rest if k == truth else -p[k]) for k in range(len(z))]


def logistic_focal(z, y, gamma):
    loss, gradient = 0.0, []
    for z_k, y_k in zip(z, y, strict=True):
        sign = 1 if y_k == 1 else -1
        rest = logistic(-sign * z_k)
        value, slope = focal_of_truth(logistic(sign * z_k), rest, -softplus(-sign * z_k), gamma)
        loss += value
        gradient.append(sign * slope * rest)
    return [logistic(value) for value in z], loss, gradient


def averaged_over_outputs(predict, per_output):
    """Make a loss of rows from one of numbers, which returns value and derivative."""

    def row_loss(z, y, **params):
        pairs = [per_output(z_k, y_k, **params) for z_k, y_k in zip(z, y, strict=True)]
        values, slopes = zip(*pairs, strict=True)
        return [predict(z_k) for z_k in z], sum(values) / len(z), [s / len(z) for s in slopes]

    return row_loss


def absolute_error(z, y):
    return abs(z - y), (z > y) - (z < y)


def huber(z, y, delta):
    r = z - y
    if abs(r) <= delta:
        return r**2 / 2, r
    return delta * (abs(r) - delta / 2), math.copysign(delta, r)


def pinball(z, y, quantile):
    if z > y:
        return (1 - quantile) * (z - y), 1 - quantile
    return quantile * (y - z), -quantile


def exponential(z):
    return math.exp(z) if z < 709 else math.inf


def poisson(z, y):
    mu = exponential(z)
    return (y * (math.log(y) - z) if y > 0 else 0.0) - y + mu, mu - y


def gamma(z, y):
    ratio = y * exponential(-z)
    return z - math.log(y) + ratio - 1, 1 - ratio


LOSSES = {
    "SoftmaxLogLoss": softmax_log_loss,
    "LogisticLogLoss": logistic_log_loss,
    "Focal": softmax_focal,
    "LogisticFocal": logistic_focal,
    "SquaredError": squared_error,
    "AbsoluteError": averaged_over_outputs(float, absolute_error),
    "Huber": averaged_over_outputs(float, huber),
    "Pinball": averaged_over_outputs(float, pinball),
    "Poisson": averaged_over_outputs(exponential, poisson),
    "Gamma": averaged_over_outputs(exponential, gamma),
}
SUMMED_OVER_LABELS = ("LogisticLogLoss", "LogisticFocal")


def loss_of_weighted_outputs(option, Z, Y, weights):
    """Return the mean loss and dL/dZ of a batch where each output has a weight of its own."""
    n_outputs = len(Z[0])
    shared_by = 1 if type(option).__name__ in SUMMED_OVER_LABELS else n_outputs
    total, gradient = 0.0, []
    for z, y, row_weights in zip(Z, Y, weights, strict=True):
        gradient.append([])
        for z_k, y_k, weight in zip(z, y, row_weights, strict=True):
            _, value, ((slope,),) = loss(option, [[z_k]], [[y_k]])
            total += weight * value / shared_by
            gradient[-1].append(weight * slope / shared_by / len(Z))
    return total / len(Z), gradient


def loss(option, Z, Y, weights=None):
    """Return predictions, the weighted mean loss and dL/dZ of a batch, as nested lists."""
    per_row = LOSSES[type(option).__name__]
    n_rows = len(Z)
    weights = [1.0] * n_rows if weights is None else [float(w) for (w,) in weights]
    predictions, gradient, total = [], [], 0.0
    for z, y, weight in zip(Z, Y, weights, strict=True):
        p, row_loss, row_gradient = per_row(
            [float(value) for value in z], [float(value) for value in y], **option.get_params()
        )
        predictions.append(p)
        total += weight * row_loss
        gradient.append([weight * value / n_rows for value in row_gradient])
    return predictions, total / n_rows, gradient


# --- Layers ---------------------------------------------------------------------------------


def dense(X, W, b):
    """z_ik = sum_j x_ij w_jk + b_k."""
    return [[sum(x[j] * W[j][k] for j in range(len(W))) + b[k] for k in range(len(b))] for x in X]


def dense_backward(X, W, dZ):
    """Return dW, db and dX."""
    rows, n_in, n_out = range(len(X)), range(len(W)), range(len(W[0]))
    dW = [[sum(X[i][j] * dZ[i][k] for i in rows) for k in n_out] for j in n_in]
    db = [sum(dZ[i][k] for i in rows) for k in n_out]
    dX = [[sum(dZ[i][k] * W[j][k] for k in n_out) for j in n_in] for i in rows]
    return dW, db, dX


def elementwise(function, *matrices):
    return [
        [function(*values) for values in zip(*rows, strict=True)]
        for rows in zip(*matrices, strict=True)
    ]


def inverted_dropout(X, uniform, rate):
    """Zero where a uniform number falls below the rate; what stays is divided by 1 - rate."""
    return elementwise(lambda x, u: 0.0 if u < rate else x / (1 - rate), X, uniform)


EPSILON = 1e-5
"""What batch and layer normalization add to a variance."""


def normalized(x, mean, variance, gamma, beta):
    return gamma * (x - mean) / math.sqrt(variance + EPSILON) + beta


def batch_norm(X, gamma, beta, weights=None):
    """Return the output of a training batch, and each column's weighted mean and variance."""
    weights = [1.0] * len(X) if weights is None or not any(weights) else [w for (w,) in weights]
    total = math.fsum(weights)
    means, variances = [], []
    for k in range(len(gamma)):
        means.append(math.fsum(w * x[k] for w, x in zip(weights, X, strict=True)) / total)
        squares = [w * (x[k] - means[k]) ** 2 for w, x in zip(weights, X, strict=True)]
        variances.append(math.fsum(squares) / total)
    return batch_norm_prediction(X, gamma, beta, means, variances), means, variances


def batch_norm_prediction(X, gamma, beta, means, variances):
    columns = range(len(gamma))
    return [[normalized(x[k], means[k], variances[k], gamma[k], beta[k]) for k in columns]
            for x in X]  # fmt: skip


def moved(running, current, momentum=0.9):
    """Running averages after a batch whose own values are ``current``."""
    return [momentum * r + (1 - momentum) * c for r, c in zip(running, current, strict=True)]


def layer_norm(X, gamma, beta):
    output = []
    for x in X:
        mean = math.fsum(x) / len(x)
        variance = math.fsum((value - mean) ** 2 for value in x) / len(x)
        output.append([normalized(value, mean, variance, gamma[k], beta[k])
                       for k, value in enumerate(x)])  # fmt: skip
    return output


def embedding(X, functions, a):
    """Return each row's features, then the combinations of the functions of some of them.

    ``functions`` lists the functions of each feature; ``a[j][k][o]`` belongs to the j-th feature
    that has any.
    """
    embedded = [j for j, of_feature in enumerate(functions) if of_feature]
    output = []
    for x in X:
        row = [float(value) for value in x]
        for j, feature in enumerate(embedded):
            h = [function(x[feature]) for function in functions[feature]]
            row += [sum(h[k] * a[j][k][o] for k in range(len(h))) for o in range(len(a[j][0]))]
        output.append(row)
    return output


def embedding_backward(X, functions, a, dY):
    """Return da, given dL/d(output)."""
    embedded = [j for j, of_feature in enumerate(functions) if of_feature]
    n_outputs = len(a[0][0])
    da = [[[0.0] * n_outputs for _ in of_feature] for of_feature in a]
    for x, dy in zip(X, dY, strict=True):
        for j, feature in enumerate(embedded):
            for k, function in enumerate(functions[feature]):
                for o in range(n_outputs):
                    da[j][k][o] += dy[len(x) + j * n_outputs + o] * function(x[feature])
    return da


def wave(w, b):
    """A wave of frequency w and phase b."""
    return lambda x: math.cos(2 * math.pi * w * x + b)


def ramp(start, stop):
    """From -1/2 before the bin to 1/2 after it."""
    return lambda x: min(1.0, max(0.0, (x - start) / (stop - start))) - 0.5


def network(weights, biases, activations, X, uniforms=None, rates=None):
    """Return the logits, and for each layer what the backward pass needs.

    ``uniforms`` and ``rates`` hold, for each hidden layer, the random numbers of its dropout and
    its rate.
    """
    trace = []
    A = [[float(value) for value in x] for x in X]
    for index, (W, b) in enumerate(zip(weights, biases, strict=True)):
        Z = dense(A, W, b)
        trace.append((A, Z))
        if index == len(activations):
            return Z, trace
        f, _ = activation(activations[index])
        A = elementwise(f, Z)
        if rates is not None and rates[index] > 0:
            A = inverted_dropout(A, uniforms[index], rates[index])
    raise AssertionError("unreachable: the last layer returns")


def loss_and_gradients(
    weights,
    biases,
    activations,
    loss_option,
    X,
    Y,
    sample_weights=None,
    *,
    l2=0.0,
    mean_weight=1.0,
    uniforms=None,
    rates=None,
):
    """Return the batch's loss with its penalty, and the gradients of weights and biases."""
    n_rows = len(X)
    Z, trace = network(weights, biases, activations, X, uniforms, rates)
    _, value, dZ = loss(loss_option, Z, Y, sample_weights)
    dWs, dbs = [None] * len(weights), [None] * len(weights)
    for index in reversed(range(len(weights))):
        A_in, _ = trace[index]
        dWs[index], dbs[index], dA = dense_backward(A_in, weights[index], dZ)
        if index > 0:
            if rates is not None and rates[index - 1] > 0:
                dA = inverted_dropout(dA, uniforms[index - 1], rates[index - 1])
            _, derivative = activation(activations[index - 1])
            Z_before = trace[index - 1][1]
            dZ = elementwise(lambda da, z, d=derivative: da * d(z), dA, Z_before)
    n = n_rows * mean_weight
    for W, dW in zip(weights, dWs, strict=True):
        for j, row in enumerate(W):
            for k, w in enumerate(row):
                value += 0.5 * l2 * w**2 / n
                dW[j][k] += l2 * w / n
    return value, dWs, dbs


# --- Optimizers: each makes a function from (gradient, rate) to the change of one parameter --


def sgd(momentum, nesterov):
    v = 0.0

    def change(g, lr):
        nonlocal v
        v = momentum * v - lr * g
        return momentum * v - lr * g if nesterov else v

    return change


def adagrad(epsilon):
    squares = []

    def change(g, lr):
        squares.append(g**2)
        return -lr * g / (math.sqrt(sum(squares)) + epsilon)

    return change


def rmsprop(rho, epsilon):
    v = 0.0

    def change(g, lr):
        nonlocal v
        v = rho * v + (1 - rho) * g**2
        return -lr * g / (math.sqrt(v) + epsilon)

    return change


def adam(beta1, beta2, epsilon, correct_epsilon):
    m = v = 0.0
    t = 0

    def change(g, lr):
        nonlocal m, v, t
        t += 1
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        if correct_epsilon:
            m_hat = m / (1 - beta1**t)
            v_hat = v / (1 - beta2**t)
            return -lr * m_hat / (math.sqrt(v_hat) + epsilon)
        lr_t = lr * math.sqrt(1 - beta2**t) / (1 - beta1**t)
        return -lr_t * m / (math.sqrt(v) + epsilon)

    return change


def nadam(beta1, beta2, epsilon):
    gradients = []

    def mu(t):
        return beta1 * (1 - 0.5 * 0.96 ** (t / 250))

    def change(g, lr):
        gradients.append(g)
        m = v = 0.0
        product = 1.0
        for t, g_t in enumerate(gradients, start=1):
            m = mu(t) * m + (1 - mu(t)) * g_t
            v = beta2 * v + (1 - beta2) * g_t**2
            product *= mu(t)
        t = len(gradients)
        m_hat = mu(t + 1) * m / (1 - product * mu(t + 1)) + (1 - mu(t)) * g / (1 - product)
        v_hat = v / (1 - beta2**t)
        return -lr * m_hat / (math.sqrt(v_hat) + epsilon)

    return change


OPTIMIZERS = {
    "SGD": sgd,
    "AdaGrad": adagrad,
    "RMSprop": rmsprop,
    "Adam": adam,
    "AdamW": adam,  # its decay is the training step's
    "Nadam": nadam,
}


def optimizer(option):
    """Return a function from (gradient, rate) to the change of one parameter, with a memory."""
    return OPTIMIZERS[type(option).__name__](**option.get_params())


# --- Schedules: the rate of an epoch, or of a step ------------------------------------------


def annealed(start, end, share):
    """Half a cosine wave, in the form of PyTorch's ``OneCycleLR._annealing_cos``."""
    return end + (start - end) / 2 * (math.cos(math.pi * share) + 1)


def cosine_log(base, clock, waves):
    """Count the waves: wave k begins after ``(2^k - 1) / (2^waves - 1)`` of the run."""
    share = (2 * clock.step + 1) / (2 * clock.last_step)
    begins = [(2**k - 1) / (2**waves - 1) for k in range(waves + 1)]
    k = max(k for k in range(waves) if begins[k] <= share)
    within = math.log2(1 + (share - begins[k]) / (begins[k + 1] - begins[k]))
    return base * math.sin(math.pi * within) ** 2


def one_cycle(base, clock, warmup, start, end):
    """PyTorch's two phases, with ``pct_start`` such that the first one ends at the same step."""
    initial, smallest = base / start, base / start / end
    step_size_up = warmup * clock.last_step
    step_size_down = clock.last_step - 1 - step_size_up
    if clock.step <= step_size_up:
        return annealed(initial, base, clock.step / step_size_up)
    return annealed(base, smallest, (clock.step - step_size_up) / step_size_down)


def warmup_cosine(base, clock, warmup):
    """A line through 0 at the step before the first, then half a cosine wave to 0."""
    n_warmup = warmup * clock.last_step
    if clock.step < n_warmup:
        return base * (clock.step + 1) / (n_warmup + 1)
    share = (clock.step - n_warmup) / (clock.last_step - n_warmup)
    return 0.5 * base * (1 + math.cos(math.pi * share))


SCHEDULES = {
    "Constant": lambda base, clock: base,
    "StepDecay": lambda base, clock, drop, every: base * drop ** math.floor(clock.epoch / every),
    "ExponentialDecay": lambda base, clock, decay: base * decay**clock.epoch,
    "Cosine": lambda base, clock: (
        0.5 * base * (1 + math.cos(math.pi * clock.epoch / clock.horizon))
    ),
    "InverseScaling": lambda base, clock, power: base / (1 + clock.samples) ** power,
    "Adaptive": lambda base, clock, factor, minimum: base * (1 / factor) ** clock.plateaus,
    "OneCycle": one_cycle,
    "CosineLog": cosine_log,
    "WarmupCosine": warmup_cosine,
}


def rate(option, base, clock):
    return SCHEDULES[type(option).__name__](base, clock, **option.get_params())


# --- Initializers: the standard deviation of a weight ---------------------------------------

INITIALIZER_STD = {
    "HeNormal": lambda n_in, n_out: math.sqrt(2 / n_in),
    "HeUniform": lambda n_in, n_out: math.sqrt(2 / n_in),
    "GlorotNormal": lambda n_in, n_out: math.sqrt(2 / (n_in + n_out)),
    "GlorotUniform": lambda n_in, n_out: math.sqrt(2 / (n_in + n_out)),
    "LecunNormal": lambda n_in, n_out: math.sqrt(1 / n_in),
    "Normal": lambda n_in, n_out, std: std,
    "Orthogonal": lambda n_in, n_out, gain: gain / math.sqrt(max(n_in, n_out)),
}


def initializer_std(option, n_in, n_out):
    return INITIALIZER_STD[type(option).__name__](n_in, n_out, **option.get_params())
