"""From one pump to many sinks: an inbox each, so that a slow or broken sink hurts only itself."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from streamapp.pipeline.mailbox import Mailbox
from streamapp.sinks.base import Output, Sink
from streamapp.sources.base import EncodedPicture

_log = logging.getLogger(__name__)


class Attachment:
    """A sink at work on a stream. `drops` counts the outputs it was too slow for."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.drops = 0
        self.error: BaseException | None = None
        self.inbox: Mailbox[Output] = Mailbox(on_drop=self._count)
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Runs the sink to its end. Its failure is logged and kept in `error`, and ends nothing else."""
        try:
            await self.sink.run(self.inbox)
        except Exception as error:  # noqa: BLE001 - supervisor: a sink may fail in any way, the stream goes on
            self.error = error
            _log.exception("sink %s failed; the stream goes on without it", type(self.sink).__name__)
        finally:
            self.inbox.close()
            self._done.set()

    def abandon(self) -> None:
        """It is never run: there will be no outputs."""
        self.inbox.close()
        self._done.set()

    async def wait(self) -> None:
        """Waits until the sink has ended and finalised."""
        await self._done.wait()

    async def close(self) -> None:
        """Lets the sink finish what it has, and waits until it has finalised."""
        self.inbox.close()
        await self.wait()

    def _count(self, _: Output) -> None:
        self.drops += 1


class Fanout:
    """The sinks of one stream."""

    def __init__(self) -> None:
        self._attachments: list[Attachment] = []

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        return tuple(self._attachments)

    def add(self, attachment: Attachment) -> None:
        self._attachments.append(attachment)

    async def publish(self, output: Output) -> None:
        """Hands an output to every sink; waits only for lossless ones."""
        for attachment in self.attachments:
            if attachment.inbox.closed:
                self._attachments.remove(attachment)
            elif attachment.sink.lossless:
                await attachment.inbox.deliver(output)
            else:
                attachment.inbox.offer(output)

    def close(self) -> None:
        """No more outputs: every sink finishes what is in its inbox."""
        for attachment in self._attachments:
            attachment.inbox.close()


class EncodedSubscription:
    """One viewer's bounded queue of coded pictures. Starts, and starts again after an overflow, at an I-frame."""

    CAPACITY = 60

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.drops = 0
        self.iframe_wanted = True
        """Whether an I-frame is awaited, to begin or because the reader asked for one."""
        self._capacity = capacity
        self._pictures: deque[EncodedPicture] = deque()
        self._waiting_for_iframe = True
        self._closed = False
        self._reader: asyncio.Future[None] | None = None

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def first(self) -> EncodedPicture | None:
        """What `get` gives without waiting, if anything."""
        return self._pictures[0] if self._pictures else None

    def offer(self, picture: EncodedPicture) -> None:
        if len(self._pictures) >= self._capacity:
            self.drops += len(self._pictures)
            self._pictures.clear()
            self._waiting_for_iframe = self.iframe_wanted = True
        if self._waiting_for_iframe and not picture.is_iframe:
            self.drops += 1
            return
        if picture.is_iframe:
            self._waiting_for_iframe = self.iframe_wanted = False
        self._pictures.append(picture)
        self._wake()

    async def get(self) -> EncodedPicture | None:
        """The next coded picture, or None once the stream has ended or the subscription is closed."""
        while not self._pictures:
            if self._closed:
                return None
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._pictures.popleft()

    def take_all(self) -> list[EncodedPicture]:
        """Everything that is there now."""
        pictures = list(self._pictures)
        self._pictures.clear()
        return pictures

    def close(self) -> None:
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class EncodedFanout:
    """The viewers of a stream that take its coded pictures as they are."""

    def __init__(self) -> None:
        self._subscriptions: list[EncodedSubscription] = []

    @property
    def wanted(self) -> bool:
        return bool(self._subscriptions)

    @property
    def iframe_wanted(self) -> bool:
        return any(subscription.iframe_wanted and not subscription.closed for subscription in self._subscriptions)

    def subscribe(self, capacity: int = EncodedSubscription.CAPACITY) -> EncodedSubscription:
        subscription = EncodedSubscription(capacity)
        self._subscriptions.append(subscription)
        return subscription

    def offer(self, picture: EncodedPicture) -> None:
        for subscription in tuple(self._subscriptions):
            if subscription.closed:
                self._subscriptions.remove(subscription)
            else:
                subscription.offer(picture)

    def close(self) -> None:
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions.clear()
