"""The admin as Django ships it, and the notes."""

import os

import redis
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

store = redis.Redis.from_url(settings.REDIS_URL)


def notes_of(request):
    return f"notes:{request.user.get_username()}"


@login_required
@require_POST
def add(request):
    store.sadd(notes_of(request), request.POST["note"])
    return HttpResponse(status=204)


@login_required
def listed(request):
    return JsonResponse({"notes": sorted(note.decode() for note in store.smembers(notes_of(request)))})


def healthy(request):
    store.ping()
    return HttpResponse(os.environ.get("VERSION", ""))


urlpatterns = [
    path("admin/", admin.site.urls),
    path("notes/add/", add),
    path("notes.json", listed),
    path("healthz", healthy),
]
