// Buttons that ask the browser for a passkey. The ceremony is django-allauth's webauthn.js; what went wrong is told here.
(() => {
  "use strict";

  const WORDS = {
    NotAllowedError: "No passkey was used: it was cancelled, or took too long.",
    InvalidStateError: "This device or key has a passkey for your account already.",
    SecurityError: "Passkeys need an address with a name, over HTTPS or at localhost.",
    NotSupportedError: "This browser or device cannot do what is asked of it.",
  };

  document.querySelectorAll("[data-passkey]").forEach((button) => {
    const { passkey, button: role, credential, options, passwordless } = button.dataset;
    const ids = { [role]: button.id, credential };
    if (options) ids.data = options;
    if (passwordless) ids.passwordless = passwordless;
    window.allauth.webauthn.forms[passkey]({ ids });
  });

  document.addEventListener("allauth.error", (event) => {
    event.preventDefault();
    const notice = document.createElement("div");
    notice.className = "notice notice-error";
    notice.setAttribute("role", "alert");
    notice.textContent = WORDS[event.detail.exception.name] || "The passkey could not be used. Try again.";
    const place = document.getElementById("alerts") || document.querySelector("main");
    place.querySelectorAll(".notice").forEach((old) => old.remove());
    place.prepend(notice);
  });
})();
