import torch
from torch import nn

from sklstm.datasets import load_sunspots

y = torch.from_numpy(load_sunspots().target).float()
mean, std = y[:249].mean(), y[:249].std()
z = (y - mean) / std
windows = z[:-1].unfold(0, 24, 1).unsqueeze(2)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 32, batch_first=True)
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])[:, 0]


torch.manual_seed(0)
net = Net()
adam = torch.optim.Adam(net.parameters(), lr=0.01)
rows = torch.utils.data.TensorDataset(
    windows[:225], z[24:249]
)
for _epoch in range(50):
    for X, target in torch.utils.data.DataLoader(
        rows, batch_size=32, shuffle=True
    ):
        adam.zero_grad()
        nn.functional.mse_loss(net(X), target).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
with torch.no_grad():
    y_pred = mean + std * net(windows[225:])
