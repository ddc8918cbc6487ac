from django.urls import path

from noticeboard import health, views

urlpatterns = [
    path("", views.board),
    path("health", health.health),
]
