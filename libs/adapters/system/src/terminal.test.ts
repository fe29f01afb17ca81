import { expect, test } from "vitest";
import { openTerminal } from "./terminal.ts";

function terminal(isTTY: boolean, columns = 20) {
  const written: string[] = [];
  const stream = (name: string) => ({ isTTY, columns, write: (text: string) => written.push(`${name}:${text}`) });
  return { ...openTerminal(() => ({ stdout: stream("out"), stderr: stream("err") })), written };
}

test("a status line is written over, cut to the width, and stays below what is printed", () => {
  const { print, statusLine, written } = terminal(true);
  statusLine.show("half of it is done by now");
  print(false, "a line");
  statusLine.end("done");
  print(true, "the next");
  expect(written).toEqual([
    "err:\r\u001b[Khalf of it is done ",
    "err:\r\u001b[K",
    "out:a line\n",
    "err:half of it is done ",
    "err:\r\u001b[Kdone\n",
    "err:the next\n",
  ]);
});

test("where there is no terminal only the end of a status line is shown", () => {
  const { statusLine, written } = terminal(false);
  statusLine.show("half");
  statusLine.end("done");
  expect(written).toEqual(["err:done\n"]);
});
