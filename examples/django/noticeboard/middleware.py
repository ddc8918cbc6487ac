from django.conf import settings


def release_header(get_response):
    def respond(request):
        response = get_response(request)
        response["X-Release"] = settings.RELEASE
        return response

    return respond
