"""What programs read of the site: JSON, and problems as every address of the API answers them."""

from typing import Any

from django.http import HttpResponse

from gate.service.http import Problem, Response, json_response, problem_response


def json_answer(value: Any, *, status: int = 200) -> HttpResponse:
    """An answer with a JSON body."""
    return _answer(json_response(status, value))


def refused(problem: Problem) -> HttpResponse:
    """An answer with a problem document."""
    return _answer(problem_response(problem))


def _answer(answer: Response) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    for name, value in answer.headers:
        response[name.decode()] = value.decode()
    return response
