/** Version 3 from end to end: what a login is, and users who are online on several devices. */

import { assertEquals, assertMatch } from "@std/assert";
import { onEachDatabase } from "../support/databases.ts";

onEachDatabase("version 3", {
  async "what one is oneself may be left out, and receivers have it all the same"(place) {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 2 });
    const { errno, conversation } = await ann.client.request({ msgid: 6, toid: li.id, msg: "hi" });
    assertEquals([errno, conversation], [0, `u${ann.id}-${li.id}`]);
    const { id, name, msg, time } = await li.client.take(({ msgid }) => msgid === 6);
    assertEquals([id, name, msg], [ann.id, ann.name, "hi"]);
    assertMatch(String(time), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    const lie = await ann.client.request({ msgid: 6, id: li.id, toid: li.id, msg: "hi" });
    assertEquals(lie.errno, 7);
    const older = await li.client.request({ msgid: 6, toid: ann.id, msg: "hi" });
    assertEquals(older.errno, 4, "version 2 has to say who it is");
  },

  async "the version of a connection only grows, and becomes the third only at a login"(place) {
    await using ann = await place.newPerson("ann", { v: 2 });
    const again = { msgid: 1, v: 3, id: ann.id, password: "correct horse" };
    assertEquals((await ann.client.request(again)).errno, 2);
    assertEquals((await ann.client.request({ msgid: 6, toid: ann.id, msg: "hi" })).errno, 4);
    await ann.client.request({ msgid: 3, id: ann.id });
    assertEquals((await ann.client.request(again)).errno, 0);
    assertEquals((await ann.client.request({ msgid: 6, toid: ann.id, msg: "hi" })).errno, 0);
  },
});
