// Shows the document that this server hands out, and nothing from anywhere else.
window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: "/api/v1/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    docExpansion: "none",
    defaultModelsExpandDepth: 0,
    filter: true,
    layout: "BaseLayout",
    validatorUrl: null,
  });
});
