"""The shop's addresses."""

from django.urls import path
from shop import views

urlpatterns = [
    path("price-lists/", views.receive_price_list),
    path("products/", views.list_products, name="products"),
    path("reports/", views.ask_report, name="ask-report"),
    path("reports/<str:job_id>/", views.show_report, name="report"),
]
