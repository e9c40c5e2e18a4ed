"""What the shop sells, and the price lists that it received."""

from django.db import models


class Product(models.Model):
    name = models.CharField(max_length=100)
    price = models.DecimalField(max_digits=8, decimal_places=2)

    def __str__(self) -> str:
        return f"{self.name}: {self.price}"


class PriceList(models.Model):
    """A list of prices is taken once; its job brings its products."""

    number = models.CharField(max_length=20, unique=True)
    job_id = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.number
