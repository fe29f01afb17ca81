import type { Socket } from "node:net";

// Frames of HTTP/2 in the raw, for what Node's own client would not send.

/** What a client says first. */
export const preface: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** One frame: its type, flags and stream by the numbers of RFC 9113. */
export function frame(type: number, flags: number, stream: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

/** Settings that say nothing, and a ping. */
export const settings: Buffer = frame(4, 0, 0);
export const ping: Buffer = frame(6, 0, 0, Buffer.alloc(8));

/** Headers as literals that are not indexed; names and values below 127 bytes. */
export function headerBlock(headers: { [name: string]: string }): Buffer {
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  return Buffer.concat(
    Object.entries(headers).map(([name, value]) => Buffer.concat([Buffer.from([0]), text(name), text(value)])),
  );
}

/** The headers of a gRPC request, whole. */
export function request(stream: number, path: string, more: { [name: string]: string } = {}): Buffer {
  const pseudo = { ":method": "POST", ":scheme": "http", ":path": path, ":authority": "x" };
  return frame(1, 4, stream, headerBlock({ ...pseudo, "content-type": "application/grpc", ...more })); // END_HEADERS
}

/** Calls `heard` with the type, stream and body of each frame that comes. */
export function frames(socket: Socket, heard: (type: number, stream: number, body: Buffer) => void): void {
  let unread = Buffer.alloc(0);
  socket.on("data", (bytes: Buffer) => {
    unread = Buffer.concat([unread, bytes]);
    while (unread.length >= 9 && unread.length >= 9 + unread.readUIntBE(0, 3)) {
      const end = 9 + unread.readUIntBE(0, 3);
      heard(unread.readUInt8(3), unread.readUInt32BE(5), unread.subarray(9, end));
      unread = unread.subarray(end);
    }
  });
}

/** The body of the next frame of this type. */
export function nextFrame(socket: Socket, type: number): Promise<Buffer> {
  return new Promise((resolve) => frames(socket, (each, _stream, body) => (each === type ? resolve(body) : undefined)));
}
