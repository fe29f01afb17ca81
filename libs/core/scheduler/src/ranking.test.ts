import { InvariantViolation, seededRandom } from "@heddle/kernel";
import { expect, test } from "vitest";
import { type Ranked, Ranking } from "./ranking.ts";

interface Card extends Ranked {
  readonly name: number;
  value: number;
}

const ranking = (): Ranking<Card> =>
  new Ranking((a, b) => a.value < b.value || (a.value === b.value && a.name < b.name));

test("the first is always the least, whatever is added, moved and removed", () => {
  const random = seededRandom(1);
  const cards = Array.from({ length: 40 }, (_, name): Card => ({ name, value: 0, rankAt: -1 }));
  const ranked = ranking();
  const inside = new Set<Card>();
  for (let turn = 0; turn < 5_000; turn++) {
    const card = cards[random.int(cards.length)] as Card;
    if (random.float() < 0.3) {
      ranked.remove(card);
      inside.delete(card);
    } else {
      card.value = random.int(20);
      ranked.update(card);
      inside.add(card);
    }
    ranked.validate();
    const [least] = [...inside].sort((a, b) => a.value - b.value || a.name - b.name);
    expect(ranked.peek()).toBe(least);
    expect(ranked.size).toBe(inside.size);
  }
});

test("an item that changed without an update is found by validate", () => {
  const ranked = ranking();
  const cards = [1, 2, 3].map((value): Card => ({ name: value, value, rankAt: -1 }));
  for (const card of cards) ranked.update(card);
  (cards[2] as Card).value = 0;
  expect(() => ranked.validate()).toThrow(InvariantViolation);
});
