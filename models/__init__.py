"""The regularized LSTM backbone and one LightningModule per task on top of it."""
