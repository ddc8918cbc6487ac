import logging

from django.conf import settings
from django.forms import modelform_factory
from django.shortcuts import redirect, render

from noticeboard.models import Notice

log = logging.getLogger("noticeboard")
NoticeForm = modelform_factory(Notice, fields=["text", "author"])


def board(request):
    form = NoticeForm(request.POST or None)
    if form.is_valid():
        notice = form.save()
        log.info("お知らせを掲示しました: %s", notice.text)
        return redirect("/")
    page = {"form": form, "notices": Notice.objects.all()[:50], "release": settings.RELEASE}
    return render(request, "noticeboard/掲示板.html", page, status=400 if form.is_bound else 200)
