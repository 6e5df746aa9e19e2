"""Makes the users' database, once, with the image."""

import django
from django.core.management import call_command

django.setup()

from django.contrib.auth.hashers import make_password  # noqa: E402 -- as below
from django.contrib.auth.models import User  # noqa: E402 -- models need the set-up

USERS = 60

call_command("migrate", verbosity=0)
for number in range(1, USERS + 1):
    # Without a salt that is the same in every image, Django would end all sessions with each release.
    password = make_password(f"pw{number}", salt=f"{number:022}")  # long enough not to be made anew
    User.objects.create(username=f"u{number}", password=password, is_staff=True, is_superuser=True)
