from django.db import models


class Notice(models.Model):
    text = models.CharField(max_length=400)
    posted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
