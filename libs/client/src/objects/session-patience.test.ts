import { UnavailableError } from "@heddle/kernel";
import { expect, test } from "vitest";
import { length, outcome, ScriptedManager } from "./testing.ts";

test("operations wait as long as they may, too, where the manager has answered another session of their program", async () => {
  const seen = { hasAnswered: false };
  await using manager = await ScriptedManager.start({ seen });
  manager.answer = () => ({});
  await manager.session.call(length);
  await using other = await ScriptedManager.start({ seen });
  await other.kill();
  const asked = outcome(other.session.call(length));
  await other.clock.advance(29_900);
  expect(asked).toEqual({});
  await other.clock.advance(200);
  expect(asked.error).toBeInstanceOf(UnavailableError);
});
