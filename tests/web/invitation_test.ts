import { assertEquals } from "@std/assert";
import { invitationOf, linkIn } from "../../lib/web/app/invitation.ts";

Deno.test("an invitation is an address of the page, and its link is found in it and nowhere else", () => {
  for (const link of ["Zk3vQy0p7mXeB1nT5rWc9A", "a/b #%?&", "é"]) {
    const address = invitationOf(link, "https://chat.example/");
    assertEquals(new URL(address).pathname + new URL(address).search, "/");
    assertEquals(linkIn(address), link);
    assertEquals(linkIn(new URL(address).hash), link);
  }
  for (const other of ["", "#u1-2", "#join-", "#join-%E0%A4%A", "https://chat.example/join-abc"]) {
    assertEquals(linkIn(other), undefined, other);
  }
});
