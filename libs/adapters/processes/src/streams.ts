import type { Stream } from "node:stream";

/** Lets the process end although the pipe is open. Pipes to children are sockets, which their types do not say. */
export function unrefStream(stream: Stream | null | undefined): void {
  (stream as { unref?: () => void } | null | undefined)?.unref?.();
}
