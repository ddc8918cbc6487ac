from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("noticeboard", "0001_initial")]

    operations = [
        migrations.AddField("notice", "author", models.CharField(blank=True, max_length=80, null=True)),
    ]
