"""Problem types of people."""

from shelflist.shared.problems import Conflict, Problem, ServiceUnavailable, Unauthorized, Unprocessable


class UsernameTaken(Conflict):
    """Somebody has this username already, in upper or lower case."""

    slug, title = "username-taken", "Username taken"
    advice = "Choose another username."

    def __init__(self) -> None:
        super().__init__("somebody has this username already")


class EmailTaken(Conflict):
    """Somebody has signed up with this e-mail address already."""

    slug, title = "email-taken", "E-mail address taken"
    advice = "Log in with it, or use another address."

    def __init__(self) -> None:
        super().__init__("somebody has signed up with this e-mail address already")


class SignUpClosed(Problem):
    """The operator lets nobody sign up by the API."""

    status, slug, title = 403, "sign-up-closed", "Sign-up closed"
    advice = "Ask the operator, who can add you with `shelflist people add`."

    def __init__(self) -> None:
        super().__init__("nobody can sign up here at the moment")


class WrongLogin(Unauthorized):
    """There is nobody of this name with this password."""

    slug, title = "wrong-login", "Wrong name or password"
    advice = "Check both; the operator can set a new password with `shelflist people password`."

    def __init__(self) -> None:
        # One text for both: nobody learns here who has signed up.
        super().__init__("the name or the password is wrong", challenge='Bearer realm="shelflist"')


class WrongPassword(Problem):
    """What was asked for needs the present password, and `current_password` is another one."""

    status, slug, title = 403, "wrong-password", "Wrong password"
    advice = "Send the present password as `current_password`."

    def __init__(self) -> None:
        super().__init__("current_password is wrong")


class FollowYourself(Unprocessable):
    """Nobody follows oneself."""

    slug, title = "follow-yourself", "Not yourself"
    advice = "Name somebody else."

    def __init__(self) -> None:
        super().__init__("nobody follows oneself")


class TooManyFollowed(Conflict):
    """The caller follows as many people as anybody may."""

    slug, title = "too-many-followed", "Too many followed"
    advice = "Unfollow somebody first: DELETE /users/{username}/follow."

    def __init__(self, limit: int) -> None:
        super().__init__(f"you follow {limit} people, the most that anybody may")


class TooManyLogins(ServiceUnavailable):
    """More passwords are to be checked at the moment than this process has memory set aside for."""

    slug, title = "too-many-logins", "Too many passwords at once"
    advice = "Try again after the seconds that Retry-After names."

    def __init__(self) -> None:
        super().__init__("too many passwords are being checked at the moment", retry_after=2)
