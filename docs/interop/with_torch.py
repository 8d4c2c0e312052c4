import numpy as np
import torch

from sklstm import LSTMClassifier
from sklstm.interop import from_torch, to_torch

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 20, 3))
y = np.array(["left", "none", "right"])[np.digitize(X.sum(axis=(1, 2)), [-4, 4])]
model = LSTMClassifier(
    16,
    bidirectional=True,
    pooling="last",  # the head of the network below reads no other states
    max_iter=30,
    n_iter_no_change=3,
    random_state=0,
).fit(X, y)


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(3, 16, bidirectional=True, batch_first=True)
        self.head = torch.nn.Linear(2 * 16, 3)

    def forward(self, x):
        _, (h_n, _) = self.lstm(x)
        # The last state of each direction; the second direction ends at the first step.
        return self.head(torch.cat([h_n[-2], h_n[-1]], dim=1))


network = Network().double()
network.load_state_dict({name: torch.tensor(w) for name, w in to_torch(model).items()})
with torch.no_grad():
    probabilities = torch.softmax(network(torch.tensor(X)), dim=1).numpy()

# Convert back, for instance after further training in PyTorch.
template = LSTMClassifier(16, bidirectional=True)
back = from_torch(network.state_dict(), template, classes=["left", "none", "right"])
