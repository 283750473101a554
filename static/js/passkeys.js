// Asks the browser for a passkey and sends what it answers with the form around the button.
(() => {
  // Most who see such a form use another way: what makes JSON of a passkey comes when it is asked for.
  const library = document.currentScript.dataset.library;
  const load = () =>
    new Promise((resolve, reject) => {
      if (window.webauthnJSON) return resolve();
      const script = document.createElement("script");
      script.onload = resolve;
      script.onerror = reject;
      script.src = library;
      document.head.append(script);
    });

  const ask = async (form) => {
    await load();
    const known = form.dataset.options;
    const options = known
      ? JSON.parse(known)
      : (await (await fetch(form.action, { headers: { Accept: "application/json" } })).json()).request_options;
    if (form.dataset.passkey === "get") return webauthnJSON.get(options);
    const chosen = form.querySelector("[name=passwordless]");
    const wanted = options.publicKey.authenticatorSelection;
    wanted.residentKey = chosen.checked ? "required" : "discouraged";
    wanted.requireResidentKey = chosen.checked;
    if (chosen.checked) wanted.userVerification = "required";
    return webauthnJSON.create(options);
  };

  document.addEventListener(
    "submit",
    async (event) => {
      const form = event.target;
      if (!form.dataset.passkey) return;
      // Before whoever switches buttons off hears of it.
      event.preventDefault();
      const trouble = document.getElementById("passkey-trouble");
      if (trouble) trouble.hidden = true;
      try {
        form.elements.credential.value = JSON.stringify(await ask(form));
      } catch {
        if (trouble) trouble.hidden = false;
        return;
      }
      form.submit();
    },
    true,
  );
})();
