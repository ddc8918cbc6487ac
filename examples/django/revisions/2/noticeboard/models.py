import humanize
from django.db import models
from django.utils import timezone


class Notice(models.Model):
    text = models.CharField(max_length=400)
    # NULL, not an empty text: revision 1 still writes rows while this one is activated target by target.
    author = models.CharField(max_length=80, null=True, blank=True)
    posted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def age(self):
        return humanize.naturaltime(timezone.now() - self.posted_at)
