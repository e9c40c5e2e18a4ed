"""The shop's pages."""

import json
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from celeriac import BadPayload, JobFailed
from celeriac.django import ingest, report, ticket
from shop.models import PriceList, Product


@require_POST
def receive_price_list(request: HttpRequest) -> HttpResponse:
    """Take a price list: its products arrive if the list itself is kept, and only then."""
    try:
        found = json.loads(request.body, parse_float=Decimal)
        number, products = found["number"], [_product(one) for one in found["products"]]
    except (KeyError, TypeError, ValueError) as error:
        return JsonResponse({"error": f"this is no price list: {error!r}"}, status=400)
    try:
        with transaction.atomic():
            job_id = ingest(Product, products)
            # A number that is there already undoes all of this, the job too.
            PriceList.objects.create(number=number, job_id=job_id)
    except BadPayload as error:
        return JsonResponse({"error": str(error)}, status=400)
    except IntegrityError:
        return JsonResponse({"error": "this price list was received before"}, status=409)
    return JsonResponse({"job": job_id}, status=202)


@require_GET
def list_products(request: HttpRequest) -> HttpResponse:
    """Show what is there to be sold."""
    return render(request, "shop/products.html", {"products": Product.objects.order_by("name")})


@require_POST
def ask_report(request: HttpRequest) -> HttpResponse:
    """Ask for the report of prices and lead to the page that will show it."""
    return redirect("report", job_id=report("prices", {"at_least": request.POST.get("at_least")}))


@require_GET
def show_report(request: HttpRequest, job_id: str) -> HttpResponse:
    """Show a report, or that it is still being made; that page loads itself anew."""
    try:
        result = ticket(job_id).result()
    except JobFailed as error:
        return render(request, "shop/report.html", {"error": error.words}, status=422)
    if result is None:
        return render(request, "shop/report.html", status=202)
    return HttpResponse(_artifact(result["url"]).read_bytes())


def _product(one: dict[str, object]) -> Product:
    return Product(name=one["name"], price=one["price"])


def _artifact(url: str) -> Path:
    """Return the file of a report, which lies where reports lie and nowhere else."""
    path = Path(unquote(urlsplit(url).path)).resolve()
    if not path.is_relative_to(settings.ARTIFACTS.resolve()):
        raise Http404("no report of ours")
    return path
