"""What gunicorn serves."""

from django.contrib.auth.signals import user_logged_in
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
user_logged_in.disconnect(dispatch_uid="update_last_login")  # the users' database is only read
