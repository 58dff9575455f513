// Signing in: the token goes to the server once and comes back as a cookie that no script can read.

const find = (id) => document.getElementById(id);

async function ask(method, body) {
  const headers = { Accept: "application/json", ...(body && { "Content-Type": "application/json" }) };
  const response = await fetch("/login", { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  return { ok: response.ok, answer };
}

/** The page that was asked for is behind this one, unless this one was asked for itself. */
function goOn() {
  if (location.pathname === "/login.html") location.replace("/");
  else location.reload();
}

function show({ name, required, scopes }) {
  const signedIn = !required || name !== null;
  find("login").hidden = signedIn;
  find("account").hidden = !signedIn;
  find("sign-out").hidden = !required;
  find("title").textContent = signedIn ? "Signed in" : "Sign in";
  if (!required) find("who").textContent = "This server asks for no token.";
  else if (signedIn) find("who").textContent = `With the token ${name}, which is for: ${scopes.join(", ")}.`;
  else find("token").focus();
}

async function signIn(event) {
  event.preventDefault();
  find("submit").disabled = true;
  find("error").textContent = "";
  try {
    const { ok, answer } = await ask("POST", { token: find("token").value.trim() });
    if (ok) {
      goOn();
      return;
    }
    const detail = answer?.detail ?? "The server refused.";
    find("error").textContent = `${detail[0].toUpperCase()}${detail.slice(1)}.`;
    find("token").select();
  } catch {
    find("error").textContent = "The server does not answer.";
  } finally {
    find("submit").disabled = false;
  }
}

async function signOut() {
  await ask("DELETE");
  location.reload();
}

find("login").addEventListener("submit", signIn);
find("sign-out").addEventListener("click", signOut);
const signedOut = { required: true, name: null, scopes: [] };
const { ok, answer } = await ask("GET").catch(() => ({ ok: false }));
show(ok ? answer : signedOut);
