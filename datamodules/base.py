"""What every task's data gives the suite."""

from abc import abstractmethod

from lightning import LightningDataModule


class TaskData(LightningDataModule):
    """A LightningDataModule that knows which data it is and how much of it an epoch holds."""

    sha256: str = ""
    """Checksum of the data as the model sees it, once set up: part of a run's identity."""

    @property
    @abstractmethod
    def units_per_epoch(self) -> int:
        """Tokens or frames trained on in an epoch, for throughput."""
